import type { Arena, QuantizedRows } from '../../kernels/index.ts';
import type { FirstRowsLayerWeights } from './body-weights.ts';
import { loadGroupStarts, type Pass } from './pass.ts';
import { multiply } from './weight-matrix.ts';
import { type BodyWorkspace, inGroups, viewFor } from './workspace.ts';

// The last layer where only the first row of each sequence is read. Every row is a key and a value there; queries, and all that
// follows attention, are computed for the first rows alone. Each row's arithmetic is that of the whole layer, in every bit.

/** Attention of the first rows to all rows; the contexts are written at the places of the first rows. */
export function attendFromFirstRows(
  { kernels, weights: { hiddenSize, attentionHeads }, work }: Pass,
  { query, keyValue, outlierSplits: { queryKeyValue: split } }: FirstRowsLayerWeights,
  lengths: readonly number[],
): void {
  const { arena } = kernels;
  const { queryKeyValue: qkv, blockScratch: scratch } = work;
  const { quantized, queries } = work.firstRows!;
  const input = viewFor(work.hiddenQuantized, hiddenSize, split);
  const asking = viewFor(quantized, hiddenSize, split);
  const sequences = lengths.length;
  gatherRows(arena, input, asking, arena.ints(work.starts, sequences));
  multiply(kernels, { input: asking, rows: sequences, weights: query, out: queries, scratch });
  const width = 3 * hiddenSize;
  let sequence = 0;
  inGroups(lengths, (firstRow, rows, group) => {
    const out = qkv + 4 * hiddenSize;
    multiply(kernels, { input, firstRow, rows, weights: keyValue, out, outStride: width, scratch });
    const starts = loadGroupStarts(arena, work, group);
    for (const start of arena.ints(starts, group.length)) {
      copyFloats(arena, queries + 4 * sequence * hiddenSize, qkv + 4 * start * width, hiddenSize);
      sequence++;
    }
    kernels.attention.attendInt16({
      qkv,
      starts,
      sequences: group.length,
      queries: 1,
      heads: attentionHeads,
      headSize: hiddenSize / attentionHeads,
      out: work.context + 4 * firstRow * hiddenSize,
      scratch: work.attentionScratch,
    });
  });
}

/** Moves the first row of each sequence, of the stream and of the contexts, to the front; `starts` counts one row each. */
export function keepFirstRows(
  { kernels: { arena }, weights: { hiddenSize }, work }: Pass,
  sequences: number,
): void {
  const starts = arena.ints(work.starts, sequences + 1);
  // In ascending order no row is overwritten before it has moved.
  for (let sequence = 0; sequence < sequences; sequence++) {
    const [from, to] = [4 * starts[sequence]! * hiddenSize, 4 * sequence * hiddenSize];
    for (const region of [work.hidden, work.context])
      copyFloats(arena, region + from, region + to, hiddenSize);
    starts[sequence] = sequence;
  }
  starts[sequences] = sequences;
}

/** Copies the first row of each sequence of a batch. @param out f32[sequences][H] */
export function copyFirstRows(
  arena: Arena,
  work: BodyWorkspace,
  { sequences, hiddenSize }: { readonly sequences: number; readonly hiddenSize: number },
  out: number,
): void {
  arena.ints(work.starts, sequences).forEach((start, at) => {
    copyFloats(arena, work.hidden + 4 * start * hiddenSize, out + 4 * at * hiddenSize, hiddenSize);
  });
}

/** Copies quantised rows of the same stride, in the order of `indexes`. */
function gatherRows({ u8, f32 }: Arena, from: QuantizedRows, to: QuantizedRows, indexes: Int32Array): void {
  indexes.forEach((index, at) => {
    const first = from.values + index * from.stride;
    u8.copyWithin(to.values + at * to.stride, first, first + from.stride);
    f32[to.scales / 4 + at] = f32[from.scales / 4 + index]!;
    f32[to.minimums / 4 + at] = f32[from.minimums / 4 + index]!;
  });
}

function copyFloats({ f32 }: Arena, from: number, to: number, count: number): void {
  f32.copyWithin(to / 4, from / 4, from / 4 + count);
}
