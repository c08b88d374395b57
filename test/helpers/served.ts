import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { packageRoot } from '../../package-root.ts';
import { startCli } from './cli.ts';

/** A server process and where it listens. */
export interface Served {
  readonly child: ChildProcess;
  readonly port: number;
  /** What it wrote to standard error so far. */
  readonly complaints: () => string;
}

/** Starts `winnow serve` on a free port: the built program where there is one, which starts sooner. @param folder an index or a data folder */
export async function serve(folder: string, ...parameters: string[]): Promise<Served> {
  const built = join(packageRoot, 'dist/cli/main.js');
  const options = ['serve', folder, '--port', '0', ...parameters];
  const child =
    process.env.WINNOW_TEST_BUILT && existsSync(built)
      ? spawn(process.execPath, [built, ...options], { stdio: ['ignore', 'pipe', 'pipe'] })
      : startCli(...options);
  let said = '';
  let complaints = '';
  child.stderr!.on('data', (chunk) => {
    complaints += chunk;
  });
  await new Promise<void>((resolve, reject) => {
    child.stdout!.on('data', (chunk) => {
      said += chunk;
      if (said.includes('winnow is listening on')) resolve();
    });
    child.once('exit', (code, signal) => reject(new Error(`serve ended: ${code ?? signal} ${complaints}`)));
  });
  return { child, port: Number(/:(\d+) \(/.exec(said)![1]), complaints: () => complaints };
}

/** Sends a signal and waits for the end. */
export async function stop(
  { child }: Served,
  signal: NodeJS.Signals,
): Promise<{ code: number | null; signal: string | null; ms: number }> {
  const started = performance.now();
  if (child.exitCode === null && child.signalCode === null) {
    child.kill(signal);
    await once(child, 'exit');
  }
  return { code: child.exitCode, signal: child.signalCode, ms: performance.now() - started };
}

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  readonly timeoutMs?: number;
}

export interface Answered {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
}

/** One request, its path sent as it is. Rejects when the connection breaks, and with `timeout` after `timeoutMs` (default 20,000). */
export function ask(
  port: number,
  { method, path, headers, body, timeoutMs = 20_000 }: Asked,
): Promise<Answered> {
  return new Promise((resolve, reject) => {
    // Node sends the body of a DELETE without its length otherwise.
    const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
    const options = { host: '127.0.0.1', port, method, path, headers: { ...length, ...headers } };
    const request = http.request(options, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () =>
        resolve({
          status: response.statusCode!,
          headers: response.headers,
          text: Buffer.concat(chunks).toString('utf8'),
        }),
      );
    });
    request.setTimeout(timeoutMs, () => request.destroy(new Error('timeout')));
    request.on('error', reject);
    request.end(body);
  });
}
