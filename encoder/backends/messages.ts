import { type ErrorCode, WinnowError } from '../../errors.ts';
import type { SparseVector } from '../types.ts';
import type { TokenSequence } from './bert-body.ts';

/** A batch as it crosses threads: sequences end to end, moved rather than copied. */
export interface BatchMessage {
  readonly lengths: Int32Array;
  readonly ids: Int32Array;
  readonly types?: Int32Array;
}

/** The answer: vectors end to end, or the error that the batch raised. */
export type ResultMessage =
  | { readonly counts: Int32Array; readonly termIds: Uint16Array; readonly weights: Float32Array }
  | { readonly error: { code: ErrorCode; message: string; place?: string; hint?: string } };

export function packBatch(batch: readonly TokenSequence[]): BatchMessage {
  const lengths = Int32Array.from(batch, ({ ids }) => ids.length);
  const total = lengths.reduce((sum, length) => sum + length, 0);
  const ids = new Int32Array(total);
  const types = batch.some((sequence) => sequence.types !== undefined) ? new Int32Array(total) : undefined;
  let offset = 0;
  for (const sequence of batch) {
    ids.set(sequence.ids, offset);
    if (sequence.types !== undefined) types?.set(sequence.types, offset);
    offset += sequence.ids.length;
  }
  return types === undefined ? { lengths, ids } : { lengths, ids, types };
}

export function unpackBatch({ lengths, ids, types }: BatchMessage): TokenSequence[] {
  let offset = 0;
  return Array.from(lengths, (length) => {
    const [from, to] = [offset, offset + length];
    offset = to;
    const own = ids.subarray(from, to);
    return types === undefined ? { ids: own } : { ids: own, types: types.subarray(from, to) };
  });
}

export function packVectors(vectors: readonly SparseVector[]): ResultMessage {
  const counts = Int32Array.from(vectors, ({ termIds }) => termIds.length);
  const total = counts.reduce((sum, count) => sum + count, 0);
  const termIds = new Uint16Array(total);
  const weights = new Float32Array(total);
  let offset = 0;
  for (const vector of vectors) {
    termIds.set(vector.termIds, offset);
    weights.set(vector.weights, offset);
    offset += vector.termIds.length;
  }
  return { counts, termIds, weights };
}

export function packError(error: unknown): ResultMessage {
  if (!(error instanceof WinnowError)) {
    return {
      error: { code: 'WINNOW_KERNEL_UNAVAILABLE', message: `the encoder thread failed: ${String(error)}` },
    };
  }
  const { code, message, place, hint } = error;
  return {
    error: {
      code,
      message,
      ...(place === undefined ? {} : { place }),
      ...(hint === undefined ? {} : { hint }),
    },
  };
}

/** @throws WinnowError the error that the thread raised */
export function unpackVectors(result: ResultMessage): SparseVector[] {
  if ('error' in result) {
    const { code, message, ...place } = result.error;
    throw new WinnowError(code, message, place);
  }
  let offset = 0;
  return Array.from(result.counts, (count) => {
    const [from, to] = [offset, offset + count];
    offset = to;
    return { termIds: result.termIds.slice(from, to), weights: result.weights.slice(from, to) };
  });
}
