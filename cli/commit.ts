import { spawnSync } from 'node:child_process';
import { packageRoot } from '../package-root.ts';

/** Short hash of the checkout that runs, undefined outside one; a plus marks uncommitted changes. */
export function commit(): string | undefined {
  const git = (...parameters: string[]) =>
    spawnSync('git', parameters, { cwd: packageRoot, encoding: 'utf8' });
  const head = git('rev-parse', '--short', 'HEAD');
  if (head.status !== 0) return undefined;
  const dirty = git('status', '--porcelain', '--untracked-files=no').stdout.trim() !== '';
  return head.stdout.trim() + (dirty ? '+' : '');
}
