import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WinnowError } from './errors.ts';

/** The nearest folder above this file with a package.json of winnow; undefined where a bundler moved this file elsewhere. */
function aboveThisFile(): string | undefined {
  let folder = dirname(fileURLToPath(import.meta.url));
  for (;;) {
    const manifest = join(folder, 'package.json');
    if (existsSync(manifest)) {
      const { name } = JSON.parse(readFileSync(manifest, 'utf8')) as { name?: unknown };
      return name === 'winnow' ? folder : undefined;
    }
    const parent = dirname(folder);
    if (parent === folder) return undefined;
    folder = parent;
  }
}

function installed(): string | undefined {
  try {
    return dirname(createRequire(import.meta.url).resolve('winnow/package.json'));
  } catch {
    return undefined;
  }
}

function find(): string {
  const folder = aboveThisFile() ?? installed();
  if (folder !== undefined) return folder;
  throw new WinnowError('WINNOW_MISSING_PACKAGE', 'the files of the package winnow are not found', {
    place: fileURLToPath(import.meta.url),
    hint: 'a bundler must leave winnow out (esbuild --external:winnow) and winnow must be installed beside the bundle',
  });
}

/**
 * The folder that holds package.json, models/ and kernels/, whether this file runs from source (tsx), from dist/ or inside
 * a bundle beside which winnow is installed.
 *
 * @throws WinnowError WINNOW_MISSING_PACKAGE on import, when there is no such folder
 */
export const packageRoot: string = find();
