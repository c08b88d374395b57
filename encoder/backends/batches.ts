/**
 * Splits sequences into batches of at most `maxTokens` tokens and `maxSequences` sequences, longest first, so that
 * batches are full and the last ones to run are short (threads finish together).
 *
 * @param lengths tokens of each sequence, each at most `maxTokens`
 * @returns indexes into `lengths`
 */
export function batchesByLength(
  lengths: ArrayLike<number>,
  maxTokens: number,
  maxSequences: number,
): number[][] {
  const order = Array.from(lengths, (_, index) => index).sort((a, b) => lengths[b]! - lengths[a]! || a - b);
  const batches: number[][] = [];
  let current: number[] = [];
  let tokens = 0;
  for (const index of order) {
    if (current.length === maxSequences || (current.length > 0 && tokens + lengths[index]! > maxTokens)) {
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
