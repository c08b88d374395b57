// Thread that merges segments of an index while the thread that opened it goes on searching (merge-thread.ts).
import { readlinkSync } from 'node:fs';
import { setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { packThreadError } from '../../worker-thread.ts';
import { OpenIndex } from '../store/open-index.ts';
import type { MergeResult, MergeThreadData } from './merge-thread.ts';
import { SegmentMerger } from './segment-merger.ts';

/** As `nice`: on a machine with too few cores searches come first. */
const NICENESS = 5;

const { folder, segments, reorderFrom, stop } = workerData as MergeThreadData;
lowerPriority();
parentPort?.postMessage(await merge());

/** Lowers the priority of this thread alone, which is possible on Linux only. */
function lowerPriority(): void {
  try {
    const thread = Number(readlinkSync('/proc/thread-self').split('/').at(-1));
    setPriority(thread, NICENESS);
  } catch {
    // Elsewhere the merge runs at the priority of the process.
  }
}

async function merge(): Promise<MergeResult> {
  let index: OpenIndex | undefined;
  try {
    index = OpenIndex.open(folder);
    const merger = new SegmentMerger(index, () => true, reorderFrom);
    merger.mergePartByPart(segments, () => Atomics.load(stop, 0) !== 0);
    return {};
  } catch (cause) {
    return { error: packThreadError(cause, 'WINNOW_MERGE') };
  } finally {
    await index?.close();
  }
}
