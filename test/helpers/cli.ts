import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { packageRoot } from '../../package-root.ts';

export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Starts the command line from source, without colours. */
export const startCli = (...parameters: string[]): ChildProcess => startScript('cli/main.ts', ...parameters);

/** Starts a TypeScript file of this repository in a process of its own. */
export function startScript(file: string, ...parameters: string[]): ChildProcess {
  return startScriptWith({}, file, ...parameters);
}

/** As {@link startScript}, with environment variables. */
export function startScriptWith(
  environment: Readonly<Record<string, string>>,
  file: string,
  ...parameters: string[]
): ChildProcess {
  return spawn(process.execPath, ['--import', 'tsx', join(packageRoot, file), ...parameters], {
    cwd: packageRoot,
    env: { ...process.env, NO_COLOR: '1', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** Runs the command line to its end. */
export function cli(...parameters: string[]): Promise<CliResult> {
  const child = startCli(...parameters);
  let stdout = '';
  let stderr = '';
  child.stdout!.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr!.on('data', (chunk) => {
    stderr += chunk;
  });
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, stdout, stderr })));
}
