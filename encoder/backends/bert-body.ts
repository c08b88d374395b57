import {
  type ArenaLayout,
  attentionScratchBytes,
  type ColumnSpread,
  type Kernels,
  padTo,
  type QuantizedRows,
  reserveQuantizedRows,
} from '../../kernels/index.ts';
import type { BodyWeights, LayerMatrix, LayerSpreads, LayerWeights, NormWeights } from './bert-weights.ts';

/** A sequence of token ids with [CLS] and [SEP]; `types` are the segment ids of a pair, all 0 when absent. */
export interface TokenSequence {
  readonly ids: ArrayLike<number>;
  readonly types?: ArrayLike<number>;
}

/** Activations of one thread in the arena. T = capacity in tokens, H hidden, I inner; all f32 row-major. */
export interface BodyWorkspace {
  /** T: tokens of a batch. */
  readonly capacity: number;
  /** Sequences of a batch at most. */
  readonly sequences: number;
  readonly ids: number;
  readonly positions: number;
  readonly types: number;
  /** i32[sequences + 1]: first row of each sequence. */
  readonly starts: number;
  /** [T][H], the residual stream; the result of the body. */
  readonly hidden: number;
  /** The stream as a layer's products take it, outlying channels spread. */
  readonly hiddenQuantized: QuantizedRows;
  /** The same memory with one byte a channel, as a head takes it. */
  readonly finalQuantized: QuantizedRows;
  /** [max(GROUP_ROWS, longest sequence)][3 H] */
  readonly queryKeyValue: number;
  /** i32[sequences + 1]: the row ranges of a group, counted from its first row. */
  readonly groupStarts: number;
  /** [T][H] */
  readonly context: number;
  readonly scratch: number;
  /** [CHUNK_ROWS][H] */
  readonly mixed: number;
  readonly mixedQuantized: QuantizedRows;
  /** [CHUNK_ROWS][I] */
  readonly inner: number;
  readonly innerQuantized: QuantizedRows;
}

/** Rows that pass through the feed-forward part at once: its f32 buffer (128 x 1536 x 4 B) stays in a 1 MiB L2. */
export const CHUNK_ROWS = 128;

/**
 * Rows whose queries, keys and values exist at once, in whole sequences: 256 x 1152 x 4 B leave room for the weights in an
 * L2 of 2 MiB, and a longer sequence is a group of its own.
 */
const GROUP_ROWS = 256;

export function planWorkspace(
  layout: ArenaLayout,
  weights: BodyWeights,
  capacity: number,
  sequences: number,
): BodyWorkspace {
  const { hidden, inner, placeCount } = weights;
  const longest = Math.min(capacity, placeCount);
  const spreads = weights.layers[0]?.spreads;
  const hiddenQuantized = reserveQuantizedRows(layout, capacity, hidden + (spreads?.expand.extra ?? 0));
  return {
    capacity,
    sequences,
    ids: layout.reserve(4 * capacity),
    positions: layout.reserve(4 * capacity),
    types: layout.reserve(4 * capacity),
    starts: layout.reserve(4 * (sequences + 1)),
    hidden: layout.reserve(4 * capacity * hidden),
    hiddenQuantized,
    finalQuantized: { ...hiddenQuantized, columns: hidden, stride: padTo(hidden, 16) },
    queryKeyValue: layout.reserve(12 * Math.min(capacity, Math.max(GROUP_ROWS, longest)) * hidden),
    groupStarts: layout.reserve(4 * (sequences + 1)),
    context: layout.reserve(4 * capacity * hidden),
    scratch: layout.reserve(attentionScratchBytes(longest, hidden / weights.heads)),
    mixed: layout.reserve(4 * CHUNK_ROWS * hidden),
    mixedQuantized: reserveQuantizedRows(layout, CHUNK_ROWS, hidden),
    inner: layout.reserve(4 * CHUNK_ROWS * inner),
    innerQuantized: reserveQuantizedRows(layout, CHUNK_ROWS, inner + (spreads?.shrink.extra ?? 0)),
  };
}

/** Where calibration looks: the f32 rows that a product of a layer takes, quantised. */
export type Observer = (
  point: keyof LayerSpreads,
  layer: number,
  rows: { readonly offset: number; readonly count: number; readonly columns: number },
) => void;

/** What the steps of one forward pass share. */
interface Pass {
  readonly kernels: Kernels;
  readonly weights: BodyWeights;
  readonly work: BodyWorkspace;
  readonly observe: Observer | undefined;
}

/** Calls `step(first, rows)` over 0..total in pieces of at most CHUNK_ROWS. */
export function inChunks(total: number, step: (first: number, rows: number) => void): void {
  for (let first = 0; first < total; first += CHUNK_ROWS) step(first, Math.min(CHUNK_ROWS, total - first));
}

/**
 * Runs the BERT body on a ragged batch: no padding, attention within each sequence.
 *
 * Afterwards `work.hidden` and `work.finalQuantized` hold the last layer's rows and `work.starts` the row ranges;
 * a head (sparse-head.ts, or a reranker's) goes on from there.
 *
 * @param batch 1..work.sequences non-empty sequences of at most work.capacity tokens together
 * @returns the number of rows
 */
export function runBody(
  kernels: Kernels,
  weights: BodyWeights,
  work: BodyWorkspace,
  batch: readonly TokenSequence[],
  observe?: Observer,
): number {
  const rows = loadTokens(kernels, work, batch);
  const { hidden, epsilon, layers } = weights;
  const { ids, positions, types } = work;
  kernels.embed({ ...weights, ids, positions, types, rows, out: work.hidden });
  kernels.layerNorm({
    ...weights.embeddingNorm,
    ...quantizedFor(work, layers[0]),
    x: work.hidden,
    out: work.hidden,
    epsilon,
    rows,
    columns: hidden,
  });
  layers.forEach((_, index) => {
    observe?.('queryKeyValue', index, { offset: work.hidden, count: rows, columns: hidden });
    inGroups(batch, (first, count, lengths) => attend(kernels, weights, work, index, first, count, lengths));
    inChunks(rows, (first, count) => feedForward({ kernels, weights, work, observe }, index, first, count));
  });
  return rows;
}

/** Calls `step` over whole sequences that have at most GROUP_ROWS rows together, or one sequence that is longer. */
function inGroups(
  batch: readonly TokenSequence[],
  step: (first: number, rows: number, lengths: readonly number[]) => void,
): void {
  let first = 0;
  let lengths: number[] = [];
  let rows = 0;
  for (const { ids } of batch) {
    if (lengths.length > 0 && rows + ids.length > GROUP_ROWS) {
      step(first, rows, lengths);
      first += rows;
      [rows, lengths] = [0, []];
    }
    lengths.push(ids.length);
    rows += ids.length;
  }
  step(first, rows, lengths);
}

/** Queries, keys, values and their attention for the sequences of `lengths`, which begin at row `first`. */
function attend(
  kernels: Kernels,
  { layers, hidden, heads }: BodyWeights,
  work: BodyWorkspace,
  index: number,
  first: number,
  rows: number,
  lengths: readonly number[],
): void {
  const { queryKeyValue: qkv, groupStarts, scratch } = work;
  const weights = layers[index]!.queryKeyValue;
  multiply(kernels, { input: work.hiddenQuantized, firstRow: first, rows, weights, out: qkv });
  const starts = kernels.arena.ints(groupStarts, lengths.length + 1);
  starts[0] = 0;
  lengths.forEach((length, at) => {
    starts[at + 1] = starts[at]! + length;
  });
  kernels.attention({
    qkv,
    starts: groupStarts,
    sequences: lengths.length,
    heads,
    headSize: hidden / heads,
    out: work.context + 4 * first * hidden,
    scratch,
  });
}

/** The quantised form of the stream that the layer after a LayerNorm takes, or the head when there is none. */
function quantizedFor(work: BodyWorkspace, next: LayerWeights | undefined) {
  if (next === undefined) return { quantized: work.finalQuantized };
  return { quantized: work.hiddenQuantized, spread: next.spreads?.queryKeyValue };
}

/** Everything of a layer after attention, for rows first .. first + rows - 1. */
function feedForward(pass: Pass, index: number, first: number, rows: number): void {
  const { kernels, weights, work, observe } = pass;
  const { hidden, inner, epsilon } = weights;
  const layer = weights.layers[index]!;
  const stream = work.hidden + 4 * first * hidden;
  const addToStream = (
    norm: NormWeights,
    target: { quantized: QuantizedRows; spread?: ColumnSpread | undefined },
  ) =>
    kernels.layerNorm({
      ...norm,
      ...target,
      x: work.mixed,
      residual: stream,
      out: stream,
      firstRow: first,
      epsilon,
      rows,
      columns: hidden,
    });
  kernels.quantizeRows({ x: work.context + 4 * first * hidden, rows, out: work.mixedQuantized });
  multiply(kernels, { input: work.mixedQuantized, rows, weights: layer.attentionOut, out: work.mixed });
  addToStream(layer.attentionNorm, { quantized: work.hiddenQuantized, spread: layer.spreads?.expand });
  observe?.('expand', index, { offset: stream, count: rows, columns: hidden });
  multiply(kernels, {
    input: work.hiddenQuantized,
    firstRow: first,
    rows,
    weights: layer.expand,
    out: work.inner,
  });
  kernels.geluQuantize({ x: work.inner, rows, out: work.innerQuantized, spread: layer.spreads?.shrink });
  observe?.('shrink', index, { offset: work.inner, count: rows, columns: inner });
  multiply(kernels, { input: work.innerQuantized, rows, weights: layer.shrink, out: work.mixed });
  addToStream(layer.outputNorm, quantizedFor(work, weights.layers[index + 1]));
}

/** One product of a layer, by the kernel of its weights. */
function multiply(
  kernels: Kernels,
  call: { input: QuantizedRows; firstRow?: number; rows: number; weights: LayerMatrix; out: number },
): void {
  const { weights, ...rest } = call;
  if ('passes' in weights) kernels.sparse.gemmN16({ ...rest, weights });
  else kernels.gemmInt8({ ...rest, weights });
}

function loadTokens({ arena }: Kernels, work: BodyWorkspace, batch: readonly TokenSequence[]): number {
  const ids = arena.ints(work.ids, work.capacity);
  const positions = arena.ints(work.positions, work.capacity);
  const types = arena.ints(work.types, work.capacity);
  const starts = arena.ints(work.starts, work.sequences + 1);
  let row = 0;
  starts[0] = 0;
  batch.forEach((sequence, index) => {
    for (let t = 0; t < sequence.ids.length; t++, row++) {
      ids[row] = sequence.ids[t]!;
      positions[row] = t;
      types[row] = sequence.types?.[t] ?? 0;
    }
    starts[index + 1] = row;
  });
  return row;
}
