import { WinnowError } from '../../errors.ts';
import type { BatchLimits } from './workspace.ts';

/** One input of the body: a text or a pair of texts as token ids, with [CLS] and [SEP]. */
export interface TokenSequence {
  readonly ids: ArrayLike<number>;
  /** Token types, as many as `ids`: 0 for the first text, 1 for the second. Absent: all 0. */
  readonly typeIds?: ArrayLike<number>;
}

/**
 * Checks the lengths of sequences; ids and types are checked by the embedding kernel.
 *
 * @param longest tokens that a sequence may have
 * @throws WinnowError WINNOW_BAD_ARGUMENT for an empty or too long sequence, or one without a type for every id
 */
export function checkSequences(sequences: readonly TokenSequence[], longest: number): void {
  sequences.forEach(({ ids, typeIds }, index) => {
    const place = `sequences[${index}]`;
    if (ids.length === 0 || ids.length > longest) {
      throw new WinnowError(
        'WINNOW_BAD_ARGUMENT',
        `a sequence must have 1..${longest} tokens, not ${ids.length}`,
        { place },
      );
    }
    if (typeIds !== undefined && typeIds.length !== ids.length) {
      throw new WinnowError(
        'WINNOW_BAD_ARGUMENT',
        `a sequence of ${ids.length} tokens has ${typeIds.length} token types`,
        { place },
      );
    }
  });
}

/** With more batches than this per thread, equal batches end no sooner than full ones. */
const MOST_EQUAL_BATCHES = 8;
/** Products of fewer rows than this read their weights for too little: a batch is not split further. */
const FEWEST_TOKENS = 64;

/**
 * Splits sequences into batches within the limits. Work of few batches is split into equal ones, as many for each thread, so
 * that all threads end together; more work into full batches, longest sequences first.
 *
 * @param lengths tokens of each sequence, each at most `limits.tokens`
 * @param threads that share the batches, 1 or more
 * @returns indexes into `lengths`
 */
export function splitIntoBatches(
  lengths: ArrayLike<number>,
  limits: BatchLimits,
  threads: number,
): number[][] {
  const order = Array.from(lengths, (_, index) => index).sort((a, b) => lengths[b]! - lengths[a]! || a - b);
  const tokens = order.reduce((sum, index) => sum + lengths[index]!, 0);
  const fewest = Math.max(tokens / limits.tokens, order.length / limits.sequences);
  const most = Math.min(order.length, Math.max(1, Math.floor(tokens / FEWEST_TOKENS)));
  for (let perThread = Math.ceil(fewest / threads); perThread <= MOST_EQUAL_BATCHES; perThread++) {
    const batches = equalBatches(order, lengths, limits, Math.min(most, perThread * threads));
    if (batches !== undefined) return batches;
  }
  return fullBatches(order, lengths, limits);
}

/**
 * Each sequence, longest first, goes to the batch that has the fewest tokens so far (LPT scheduling; Graham 1969).
 *
 * @returns undefined when a batch would exceed the limits
 */
function equalBatches(
  order: readonly number[],
  lengths: ArrayLike<number>,
  limits: BatchLimits,
  count: number,
): number[][] | undefined {
  const batches = Array.from({ length: count }, () => ({ indexes: [] as number[], tokens: 0 }));
  for (const index of order) {
    const open = batches.filter(({ indexes }) => indexes.length < limits.sequences);
    if (open.length === 0) return undefined;
    const shortest = open.reduce((best, batch) => (batch.tokens < best.tokens ? batch : best));
    shortest.indexes.push(index);
    shortest.tokens += lengths[index]!;
    if (shortest.tokens > limits.tokens) return undefined;
  }
  return batches.map(({ indexes }) => indexes);
}

function fullBatches(order: readonly number[], lengths: ArrayLike<number>, limits: BatchLimits): number[][] {
  const batches: number[][] = [];
  let current: number[] = [];
  let tokens = 0;
  for (const index of order) {
    const full = current.length === limits.sequences || tokens + lengths[index]! > limits.tokens;
    if (current.length > 0 && full) {
      batches.push(current);
      current = [];
      tokens = 0;
    }
    current.push(index);
    tokens += lengths[index]!;
  }
  if (current.length > 0) batches.push(current);
  return batches;
}
