import { renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { WinnowError } from '../../errors.ts';
import { asBuffer } from '../format/bytes.ts';
import { withChecksum } from '../format/checksum.ts';
import { REPLACED } from '../format/manifest.ts';
import { mergeRecords, removeAllMerges } from '../merge/merge-records.ts';
import { INDEX_FILE, lockFileOf } from '../store/files.ts';
import type { OpenIndex } from '../store/open-index.ts';
import type { Storage } from '../store/storage.ts';
import { withStorageErrors } from '../store/storage-errors.ts';

/** Bytes of the pages in use: the size of a copy without free pages. */
export function usedBytes({ root, manifest, segments, tombstones, documents, sources }: Storage): number {
  return [root, manifest, segments, tombstones, documents, sources].reduce((sum, db) => {
    const stats = db.getStats() as Record<string, number>;
    const pages = stats.treeBranchPageCount! + stats.treeLeafPageCount! + stats.overflowPages!;
    return sum + pages * stats.pageSize!;
  }, 0);
}

/** @throws WinnowError WINNOW_INDEX_IN_USE when another process has the index open */
export function requireNoOtherProcess({ root, path }: Storage): void {
  root.readerCheck();
  const others = String(root.readerList())
    .split('\n')
    .map((line) => Number.parseInt(line, 10))
    .filter((pid) => pid > 0 && pid !== process.pid);
  if (others.length === 0) return;
  throw new WinnowError('WINNOW_INDEX_IN_USE', `process ${others[0]} has the index open`, {
    place: path,
    hint: 'stop it and try again',
  });
}

/**
 * Puts another file in the place of an open index. The old file is marked as replaced first, so that anything that still has it open
 * gets an error instead of writing into a file that will never be read.
 */
export function replaceIndexFile({ root, manifest, path }: Storage, file: string): void {
  const own = join(path, INDEX_FILE);
  withStorageErrors(path, () =>
    root.transactionSync(() => {
      manifest.put('current', asBuffer(withChecksum(REPLACED)));
      renameSync(file, own);
      rmSync(lockFileOf(own), { force: true });
    }),
  );
}

/** Removes the records of merges from a copy of an index: they run in the original. */
export function removeMergesOfOriginal({ storage, transactions }: OpenIndex): void {
  if (mergeRecords(storage).length === 0) return;
  transactions.commit((manifest) => {
    removeAllMerges(storage);
    return [manifest, undefined];
  });
}
