import { rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { syncFile, syncFolder } from '../../durable-files.ts';
import { WinnowError } from '../../errors.ts';
import { MergeScheduler } from '../merge/merge-scheduler.ts';
import { requireDiskSpace } from '../store/disk-space.ts';
import { INDEX_FILE, makeEmptyFolder, makePrivate, PARTIAL, requireFolder } from '../store/files.ts';
import { checkLmdbFile } from '../store/lmdb-check.ts';
import { OpenIndex } from '../store/open-index.ts';
import { storageError } from '../store/storage-errors.ts';
import { replaceIndexFile, requireNoOtherProcess, usedBytes } from './index-file.ts';

export interface CompactReport {
  /** Sizes of the index file. */
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  /** Segments after it. */
  readonly segments: number;
}

/**
 * Merges all segments, drops deleted documents, and returns the file's free pages to the file system by copying what is used and
 * putting the copy in the place of the file. Other handles of this process on the index get WINNOW_INDEX_CLOSED afterwards.
 *
 * @param isStopped called now and then, until the file is about to be replaced: true ends the compaction, and the index holds what it did
 * @throws WinnowError WINNOW_INDEX_IN_USE when another process has the index open, WINNOW_STORAGE, WINNOW_BAD_ARGUMENT,
 *   WINNOW_INDEX_CLOSED when it was stopped
 */
export async function compactIndex(
  folder: string,
  isStopped: () => boolean = () => false,
): Promise<CompactReport> {
  requireFolder(folder);
  const checkpoint = (): void => {
    if (isStopped())
      throw new WinnowError('WINNOW_INDEX_CLOSED', 'the compaction was stopped', {
        place: folder,
        hint: 'start it again; the index holds what it did',
      });
  };
  const index = OpenIndex.open(folder);
  const file = join(folder, INDEX_FILE);
  const partial = join(folder, `compact${PARTIAL}`);
  try {
    requireNoOtherProcess(index.storage);
    const bytesBefore = statSync(file).size;
    new MergeScheduler(index, { merges: 'inline', isStopped }).forceMerge();
    checkpoint();
    const segments = index.reader.view().segments.length;
    makeEmptyFolder(partial);
    requireDiskSpace(partial, usedBytes(index.storage));
    const copy = join(partial, INDEX_FILE);
    await index.copyTo(copy);
    checkpoint();
    makePrivate(copy);
    syncFile(copy);
    checkLmdbFile(copy, { deep: true });
    checkpoint();
    replaceIndexFile(index.storage, copy);
    syncFolder(folder);
    return { bytesBefore, bytesAfter: statSync(file).size, segments };
  } catch (error) {
    throw storageError(folder, error);
  } finally {
    await index.close();
    rmSync(partial, { recursive: true, force: true });
  }
}
