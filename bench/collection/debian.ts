// Debian packages as folders of text files, through apt-get, dpkg-deb and mandoc.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { WinnowError } from '../../errors.ts';

const MAX_OUTPUT = 1 << 28;

function command(name: string, args: readonly string[], cwd: string): string {
  try {
    return execFileSync(name, args, {
      cwd,
      encoding: 'utf8',
      maxBuffer: MAX_OUTPUT,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  } catch (cause) {
    throw new WinnowError('WINNOW_NOT_FOUND', `${name} ${args.slice(0, 3).join(' ')} failed`, {
      place: cwd,
      hint: 'the collection is put together on Debian 12 with apt-get (main and non-free), dpkg-deb and mandoc',
      cause,
    });
  }
}

/**
 * Fetches a package and unpacks what is below /usr/share and is text, unless that is done.
 *
 * @param folder where packages are kept @returns the folder with its files
 * @throws WinnowError WINNOW_NOT_FOUND when apt-get does not have it
 */
export function unpackedPackage(name: string, folder: string): string {
  const target = resolve(folder, name);
  if (existsSync(target)) return target;
  const archives = resolve(folder, 'archives');
  mkdirSync(archives, { recursive: true });
  const archiveOf = () => readdirSync(archives).find((file) => file.startsWith(`${name}_`));
  if (!archiveOf()) command('apt-get', ['download', name], archives);
  const partial = `${target}.partial`;
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(partial, { recursive: true });
  command(
    'sh',
    [
      '-c',
      `dpkg-deb --fsys-tarfile "$1" | tar -x -C "$2" ./usr/share`,
      'sh',
      join(archives, archiveOf()!),
      partial,
    ],
    archives,
  );
  renameSync(partial, target);
  return target;
}

/** The regular files below a folder, sorted; links are not followed. */
export function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

const MANUAL = /\/man[1-9][a-z]*\/[^/]+\.[1-9][a-z]*\.gz$/;

/**
 * Renders the manual pages of an unpacked package as HTML, unless that is done.
 *
 * @returns the folder of HTML files
 */
export function renderedManuals(unpacked: string): string {
  const target = `${unpacked}.manuals`;
  if (existsSync(target)) return target;
  const partial = `${target}.partial`;
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(partial, { recursive: true });
  // Other languages are in folders of their own: man/de/man1.
  for (const file of filesBelow(unpacked).filter(
    (path) => MANUAL.test(path) && path.includes('/share/man/man'),
  )) {
    const { stdout, error } = spawnSync('mandoc', ['-T', 'html', file], {
      encoding: 'utf8',
      maxBuffer: MAX_OUTPUT,
    });
    if (error)
      throw new WinnowError('WINNOW_NOT_FOUND', 'mandoc cannot be run', {
        place: file,
        hint: 'apt-get install mandoc',
        cause: error,
      });
    writeFileSync(join(partial, `${basename(file, '.gz')}.html`), stdout);
  }
  renameSync(partial, target);
  return target;
}

/** Names and long descriptions of all packages that apt knows, in English. */
export function* packageDescriptions(): Generator<{ readonly name: string; readonly text: string }> {
  const files = command(
    'apt-get',
    ['indextargets', '--format', '$(FILENAME)', 'Identifier: Translations'],
    '.',
  );
  for (const file of files.split('\n').filter((path) => path.includes('Translation-en'))) {
    for (const stanza of command('/usr/lib/apt/apt-helper', ['cat-file', file], '.').split('\n\n')) {
      const name = /^Package: (.+)$/m.exec(stanza)?.[1];
      const description = /^Description-en: ([\s\S]*)$/m.exec(stanza)?.[1];
      // A line of one dot is an empty line.
      if (name && description) yield { name, text: description.replace(/^ \.$/gm, '').replace(/^ /gm, '') };
    }
  }
}
