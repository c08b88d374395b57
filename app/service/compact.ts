import { once } from 'node:events';
import { WinnowError } from '../../errors.ts';
import type { CompactReport } from '../../indexer/admin/compact.ts';
import { startThread, type ThreadError, unpackThreadError } from '../../worker-thread.ts';

/** Data that the thread starts with. */
export interface CompactThreadData {
  readonly folder: string;
  /** Not 0: the compaction is to stop at its next checkpoint. */
  readonly stop: Int32Array;
}

/** What the thread answers. */
export type CompactAnswer = { readonly report: CompactReport } | { readonly error: ThreadError };

/**
 * Compacts an index in a thread; searches go on meanwhile. Nothing may write to it until the promise settles. Open handles get
 * WINNOW_INDEX_CLOSED afterwards.
 *
 * @param signal stops it, unless it is about to replace the file
 * @throws WinnowError WINNOW_INDEX_IN_USE, WINNOW_STORAGE, WINNOW_INDEX_CLOSED when it was stopped
 */
export async function compactInThread(folder: string, signal: AbortSignal): Promise<CompactReport> {
  const data: CompactThreadData = { folder, stop: new Int32Array(new SharedArrayBuffer(4)) };
  const thread = startThread('app/service/compact-worker', data);
  const stop = (): void => void Atomics.store(data.stop, 0, 1);
  if (signal.aborted) stop();
  else signal.addEventListener('abort', stop, { once: true });
  let answer: CompactAnswer | undefined;
  thread.once('message', (message: CompactAnswer) => {
    answer = message;
  });
  // One wait: Node may report the message and the end of a thread in one go.
  await once(thread, 'exit');
  signal.removeEventListener('abort', stop);
  if (!answer) throw new WinnowError('WINNOW_SERVER', 'the thread that compacts ended without an answer');
  if ('report' in answer) return answer.report;
  throw unpackThreadError(answer.error);
}
