// Thread that merges segments of an index beside the searches of the thread that opened it (background-merge.ts).
import { readlinkSync } from 'node:fs';
import { setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { WinnowError } from '../errors.ts';
import type { MergeAnswer, MergeTask } from './background-merge.ts';
import { IndexStore } from './index-store.ts';

/** As `nice`: a machine with too few cores gives them to searches first. */
const NICENESS = 5;

const { folder, segments, reorderFrom, stop } = workerData as MergeTask;
yieldToSearches();
parentPort?.postMessage(await merge());

/** Lowers the priority of this thread alone; only Linux has a name for it. */
function yieldToSearches(): void {
  try {
    const thread = Number(readlinkSync('/proc/thread-self').split('/').at(-1));
    setPriority(thread, NICENESS);
  } catch {
    // Elsewhere the merge competes as an equal.
  }
}

async function merge(): Promise<MergeAnswer> {
  let store: IndexStore | undefined;
  try {
    store = IndexStore.open(folder, { reorderFrom, merges: 'inline' });
    store.mergeSegments(segments, () => Atomics.load(stop, 0) !== 0);
    return {};
  } catch (cause) {
    const error =
      cause instanceof WinnowError
        ? cause
        : new WinnowError('WINNOW_MERGE', `the merge failed: ${(cause as Error).message}`, { place: folder });
    const { code, message, place, hint } = error;
    return { error: { code, message, ...(place ? { place } : {}), ...(hint ? { hint } : {}) } };
  } finally {
    await store?.close();
  }
}
