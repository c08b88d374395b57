import { spawnSync } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { packageRoot } from '../package-root.ts';

/**
 * Short hash of the checkout of Winnow that runs; a plus marks uncommitted changes. Undefined where `folder` is not the top
 * of a checkout: installed in somebody's node_modules, git would answer with the commit of their repository.
 */
export function commit(folder: string = packageRoot): string | undefined {
  const git = (...parameters: string[]) => spawnSync('git', parameters, { cwd: folder, encoding: 'utf8' });
  const top = git('rev-parse', '--show-toplevel');
  if (top.status !== 0 || realpathSync(top.stdout.trim()) !== realpathSync(folder)) return undefined;
  const head = git('rev-parse', '--short', 'HEAD');
  if (head.status !== 0) return undefined;
  const dirty = git('status', '--porcelain', '--untracked-files=no').stdout.trim() !== '';
  return head.stdout.trim() + (dirty ? '+' : '');
}
