import { packThreadError, type ThreadError, unpackThreadError } from '../../worker-thread.ts';
import type { TokenSequence } from './batches.ts';
import type { PackedResults } from './head.ts';

/** Sequences as they cross threads, end to end. */
export interface BatchMessage {
  /** Which layers run: all, or those before a head's early exit. */
  readonly layers: 'all' | 'early';
  readonly lengths: Int32Array;
  readonly ids: Int32Array;
  readonly typeIds?: Int32Array;
}

/** Sequences that went through the early layers and go through the others, as they cross threads, end to end. */
export interface ResumeMessage {
  readonly layers: 'late';
  /** Numbers of each sequence's rows: tokens times H. */
  readonly lengths: Int32Array;
  /** f32, the rows of all sequences. */
  readonly rows: Float32Array;
}

/** What a worker thread is sent. It answers each with one {@link ReplyMessage}, in order. */
export type WorkMessage = BatchMessage | ResumeMessage;

/** The reply to a {@link WorkMessage}: its results as they were packed, or the error that it raised. */
export type ReplyMessage = { readonly results: PackedResults } | { readonly error: ThreadError };

export function packBatch(batch: readonly TokenSequence[], layers: BatchMessage['layers']): BatchMessage {
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
  return typeIds === undefined ? { layers, lengths, ids } : { layers, lengths, ids, typeIds };
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

/** A sequence whose early layers have run. */
export interface PausedSequence {
  /** What the head's early exit expects of its result. */
  readonly estimate: number;
  /** f32[tokens][H]: the rows that the late layers begin with. */
  readonly rows: Float32Array;
}

/** @param paused 1 or more */
export function packPaused(paused: readonly PausedSequence[]): PackedResults {
  const { lengths, rows } = packRows(paused);
  return { estimates: Float32Array.from(paused, ({ estimate }) => estimate), lengths, rows };
}

/** The inverse of {@link packPaused}; the rows are views of one array. */
export function unpackPaused({ estimates, lengths, rows }: PackedResults): PausedSequence[] {
  const all = viewsOf(lengths as Int32Array, rows as Float32Array);
  return all.map((rows, i) => ({ estimate: estimates![i]!, rows }));
}

export const packResume = (paused: readonly PausedSequence[]): ResumeMessage => ({
  layers: 'late',
  ...packRows(paused),
});

/** The rows of each sequence, views into the message. */
export const unpackResume = ({ lengths, rows }: ResumeMessage): Float32Array[] => viewsOf(lengths, rows);

function packRows(paused: readonly PausedSequence[]): Pick<ResumeMessage, 'lengths' | 'rows'> {
  const lengths = Int32Array.from(paused, ({ rows }) => rows.length);
  const rows = new Float32Array(lengths.reduce((sum, length) => sum + length, 0));
  let at = 0;
  for (const own of paused) {
    rows.set(own.rows, at);
    at += own.rows.length;
  }
  return { lengths, rows };
}

function viewsOf(lengths: Int32Array, rows: Float32Array): Float32Array[] {
  let at = 0;
  return Array.from(lengths, (length) => {
    at += length;
    return rows.subarray(at - length, at);
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
