import { realpathSync, statSync } from 'node:fs';
import { isAbsolute, join, sep } from 'node:path';
import { WinnowError } from '../../errors.ts';

/**
 * Finds a file or folder that a request names. Requests may name only what is in one folder that the operator chose: a path that
 * leads out of it, by `..` or by a link, is refused.
 *
 * @param folder of imports; undefined: there is none
 * @returns its real path
 * @throws WinnowError WINNOW_NOT_FOUND, WINNOW_FORBIDDEN, WINNOW_BAD_ARGUMENT
 */
export function importPath(
  folder: string | undefined,
  path: string,
  kind: 'file' | 'folder' | 'any',
): string {
  if (folder === undefined)
    throw new WinnowError('WINNOW_FORBIDDEN', 'this server reads no files', {
      place: 'path',
      hint: 'start it with: winnow serve --imports DIR',
    });
  if (path.includes('\u0000') || isAbsolute(path) || path.split(/[\\/]/).includes('..'))
    throw new WinnowError('WINNOW_FORBIDDEN', 'the path leads out of the folder of imports', {
      place: 'path',
      hint: 'give it relative to that folder, without ".."',
    });
  const { root, real } = realPaths(folder, path);
  if (real !== root && !real.startsWith(root.endsWith(sep) ? root : `${root}${sep}`))
    throw new WinnowError('WINNOW_FORBIDDEN', 'a link leads out of the folder of imports', { place: 'path' });
  const isFolder = statSync(real).isDirectory();
  if (kind !== 'any' && isFolder !== (kind === 'folder'))
    throw new WinnowError('WINNOW_BAD_ARGUMENT', `path is a ${isFolder ? 'folder' : 'file'}`, {
      place: 'path',
      hint: `use the type index-${isFolder ? 'folder' : 'file'}`,
    });
  return real;
}

/** A folder without links, as {@link importPath} names what is in it. */
export function realFolder(folder: string): string {
  try {
    return realpathSync(folder);
  } catch {
    return folder; // it is gone: nothing is named in it
  }
}

function realPaths(folder: string, path: string): { readonly root: string; readonly real: string } {
  try {
    return { root: realpathSync(folder), real: realpathSync(join(folder, path)) };
  } catch (cause) {
    throw new WinnowError('WINNOW_NOT_FOUND', `the folder of imports has no ${JSON.stringify(path)}`, {
      place: 'path',
      hint: 'put it there first',
      cause,
    });
  }
}
