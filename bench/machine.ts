import { spawnSync } from 'node:child_process';
import { availableParallelism, cpus } from 'node:os';
import { packageRoot } from '../package-root.ts';

/** Processor, cores and Node version: the first thing to compare when two results differ. */
export function describeMachine(): string {
  return `${cpus()[0]?.model.trim() ?? 'unknown'}, ${availableParallelism()} cores, Node ${process.versions.node}`;
}

/** Short hash of the commit, `unknown` outside a git checkout. */
export function currentCommit(): string {
  const { status, stdout } = spawnSync('git', ['rev-parse', '--short', 'HEAD'], {
    cwd: packageRoot,
    encoding: 'utf8',
  });
  return status === 0 ? stdout.trim() : 'unknown';
}
