import { packThreadError, type ThreadError, unpackThreadError } from '../../worker-thread.ts';
import type { TokenSequence } from './batches.ts';
import type { PackedResults } from './head.ts';

/** A batch as it crosses threads: sequences end to end. */
export interface BatchMessage {
  readonly lengths: Int32Array;
  readonly ids: Int32Array;
  readonly typeIds?: Int32Array;
}

/** The reply to a {@link BatchMessage}: its results as the head packed them, or the error that it raised. */
export type ReplyMessage = { readonly results: PackedResults } | { readonly error: ThreadError };

export function packBatch(batch: readonly TokenSequence[]): BatchMessage {
  const lengths = Int32Array.from(batch, ({ ids }) => ids.length);
  const total = lengths.reduce((sum, length) => sum + length, 0);
  const ids = new Int32Array(total);
  const typed = batch.some((sequence) => sequence.typeIds !== undefined);
  const typeIds = typed ? new Int32Array(total) : undefined;
  let offset = 0;
  for (const sequence of batch) {
    ids.set(sequence.ids, offset);
    if (sequence.typeIds !== undefined) typeIds?.set(sequence.typeIds, offset);
    offset += sequence.ids.length;
  }
  return typeIds === undefined ? { lengths, ids } : { lengths, ids, typeIds };
}

/** The inverse of {@link packBatch}; the sequences are views into the message. */
export function unpackBatch({ lengths, ids, typeIds }: BatchMessage): TokenSequence[] {
  let offset = 0;
  return Array.from(lengths, (length) => {
    const [from, to] = [offset, offset + length];
    offset = to;
    const own = ids.subarray(from, to);
    return typeIds === undefined ? { ids: own } : { ids: own, typeIds: typeIds.subarray(from, to) };
  });
}

export const packError = (error: unknown): ReplyMessage => ({
  error: packThreadError(error, 'WINNOW_KERNEL_UNAVAILABLE'),
});

/** @throws WinnowError the error that the thread raised */
export function resultsOf(reply: ReplyMessage): PackedResults {
  if (!('error' in reply)) return reply.results;
  throw unpackThreadError(reply.error);
}
