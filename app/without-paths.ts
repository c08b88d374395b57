import { homedir, tmpdir } from 'node:os';
import { isAbsolute } from 'node:path';
import { packageRoot } from '../package-root.ts';

/** What takes the place of a path. */
const HIDDEN = '(a path of the server)';

/**
 * A text for a client without paths of this machine, which name users and programs. Errors of the library name the folder that they are
 * about, which is right for its own programs.
 *
 * @param place of the error: a path, or not
 */
export function withoutPaths(text: string, place?: string): string {
  const roots = [place ?? '', process.cwd(), packageRoot, homedir(), tmpdir()];
  return roots
    .filter((root) => isAbsolute(root) && root.length > 1)
    .reduce((shown, root) => shown.replaceAll(pathsBelow(root), HIDDEN), text);
}

const pathsBelow = (root: string): RegExp =>
  new RegExp(`${root.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')}(?:[/\\\\][^\\s"'()]*)?(?![\\w-])`, 'g');
