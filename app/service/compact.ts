import { once } from 'node:events';
import { WinnowError } from '../../errors.ts';
import type { CompactReport } from '../../indexer/admin/compact.ts';
import { startThread, type ThreadError, unpackThreadError } from '../../worker-thread.ts';

/** What the thread answers. */
export type CompactAnswer = { readonly report: CompactReport } | { readonly error: ThreadError };

/**
 * Compacts an index in a thread; searches go on meanwhile. Nothing may write to it until the promise settles. Open handles get
 * WINNOW_INDEX_CLOSED afterwards.
 *
 * @throws WinnowError WINNOW_INDEX_IN_USE, WINNOW_STORAGE
 */
export async function compactInThread(folder: string): Promise<CompactReport> {
  const thread = startThread('app/service/compact-worker', { folder });
  let answer: CompactAnswer | undefined;
  thread.once('message', (message: CompactAnswer) => {
    answer = message;
  });
  // One wait: Node may report the message and the end of a thread in one go.
  await once(thread, 'exit');
  if (!answer) throw new WinnowError('WINNOW_SERVER', 'the thread that compacts ended without an answer');
  if ('report' in answer) return answer.report;
  throw unpackThreadError(answer.error);
}
