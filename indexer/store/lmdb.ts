import { createRequire } from 'node:module';
import type * as Lmdb from 'lmdb';
import { WinnowError } from '../../errors.ts';

/**
 * Loads the lmdb package. It finds its native build next to its own files, so a bundler must not inline it: bundlers do not
 * follow this call.
 *
 * @throws WinnowError WINNOW_MISSING_PACKAGE
 */
export function loadLmdb(): typeof Lmdb {
  try {
    return createRequire(import.meta.url)('lmdb') as typeof Lmdb;
  } catch (cause) {
    throw new WinnowError('WINNOW_MISSING_PACKAGE', 'the package lmdb cannot be loaded', {
      hint: 'install winnow with its dependencies for this platform; beside a bundle, run: npm install winnow',
      cause,
    });
  }
}
