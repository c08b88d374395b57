import type { Arena, ColumnSpread, Kernels, QuantizedRows } from '../../kernels/index.ts';
import type { TokenSequence } from './batches.ts';
import { allLayers, type BodyWeights, type FeedForwardWeights } from './body-weights.ts';
import { attendFromFirstRows, keepFirstRows } from './first-rows.ts';
import { loadGroupStarts, type Observer, type Pass } from './pass.ts';
import { multiply, type WeightMatrix } from './weight-matrix.ts';
import type { NormWeights } from './weight-planner.ts';
import { type BodyWorkspace, inChunks, inGroups, viewFor } from './workspace.ts';

/** The last layer's output for one batch: what a head starts from. */
export interface HiddenStates {
  readonly body: BodyWeights;
  /**
   * `hidden` and `finalQuantized` hold the rows, `starts` the row range of each sequence; `chunkHidden` is free. A body that
   * computes first rows only leaves one row of each sequence.
   */
  readonly work: BodyWorkspace;
  /** Rows of all sequences together. */
  readonly rows: number;
  readonly sequences: number;
}

/**
 * Runs the BERT body on a ragged batch: no padding, attention within each sequence. A sequence's rows do not depend on the
 * other sequences of the batch.
 *
 * @param batch 1..work.limits.sequences non-empty sequences of at most work.limits.tokens together
 * @returns the last layer's rows, which live in `work` until the next call
 * @throws WinnowError WINNOW_BAD_ARGUMENT for an id or a token type that the embeddings do not have
 */
export function runBody(
  kernels: Kernels,
  weights: BodyWeights,
  work: BodyWorkspace,
  batch: readonly TokenSequence[],
  observe?: Observer,
): HiddenStates {
  const pass: Pass = { kernels, weights, work, observe };
  const lengths = batch.map(({ ids }) => ids.length);
  embedTokens(pass, loadTokens(pass, batch));
  runLayers(pass, lengths, 0, weights.layers.length);
  return finishBody(pass, lengths);
}

/**
 * The first layers of {@link runBody}, for sequences that may not be worth the others.
 *
 * @param layers how many, 1 to the number of those that compute all rows
 * @returns the rows after them, every row of each sequence
 */
export function startBody(
  kernels: Kernels,
  weights: BodyWeights,
  work: BodyWorkspace,
  batch: readonly TokenSequence[],
  layers: number,
): HiddenStates {
  const pass: Pass = { kernels, weights, work, observe: undefined };
  const lengths = batch.map(({ ids }) => ids.length);
  const rows = loadTokens(pass, batch);
  embedTokens(pass, rows);
  runLayers(pass, lengths, 0, layers);
  return { body: weights, work, rows, sequences: batch.length };
}

/**
 * The layers that {@link startBody} left out. The result is that of {@link runBody}, in every bit, whichever batches the sequences
 * were in before.
 *
 * @param batch rows of each sequence, f32[tokens][H], as `startBody` left them
 * @param layers how many have run
 */
export function resumeBody(
  kernels: Kernels,
  weights: BodyWeights,
  work: BodyWorkspace,
  batch: readonly Float32Array[],
  layers: number,
): HiddenStates {
  const pass: Pass = { kernels, weights, work, observe: undefined };
  const { hiddenSize } = weights;
  const lengths = batch.map(({ length }) => length / hiddenSize);
  const rows = loadStarts(kernels.arena, work, lengths);
  const stream = kernels.arena.floats(work.hidden, rows * hiddenSize);
  let at = 0;
  for (const own of batch) {
    stream.set(own, at);
    at += own.length;
  }
  const { quantized: out, spread } = quantizedFor(weights, work, layers);
  kernels.rows.quantizeRows({ x: work.hidden, rows, out, spread });
  runLayers(pass, lengths, layers, weights.layers.length);
  return finishBody(pass, lengths);
}

/** The layers from `first` to `end - 1` of those that compute all rows. */
function runLayers(pass: Pass, lengths: readonly number[], first: number, end: number): void {
  const { work, observe, weights } = pass;
  const rows = lengths.reduce((sum, length) => sum + length, 0);
  for (let index = first; index < end; index++) {
    observe?.('queryKeyValue', index, { offset: work.hidden, count: rows, columns: weights.hiddenSize });
    inGroups(lengths, (first, count, group) => attend(pass, index, first, count, group));
    inChunks(rows, (first, count) => feedForward(pass, index, first, count));
  }
}

/** The layer of first rows, where there is one. */
function finishBody(pass: Pass, lengths: readonly number[]): HiddenStates {
  const { weights, work } = pass;
  const sequences = lengths.length;
  if (weights.firstRowsLayer === undefined) {
    const rows = lengths.reduce((sum, length) => sum + length, 0);
    return { body: weights, work, rows, sequences };
  }
  attendFromFirstRows(pass, weights.firstRowsLayer, lengths);
  keepFirstRows(pass, sequences);
  inChunks(sequences, (first, count) => feedForward(pass, weights.layers.length, first, count));
  return { body: weights, work, rows: sequences, sequences };
}

/** The last layer's rows of one sequence, f32[tokens][H]: a view of the arena. */
export function rowsOf(
  { arena }: Kernels,
  { work, body: { hiddenSize } }: HiddenStates,
  sequence: number,
): Float32Array {
  const [first, end] = arena.ints(work.starts + 4 * sequence, 2) as unknown as [number, number];
  return arena.floats(work.hidden + 4 * first * hiddenSize, (end - first) * hiddenSize);
}

/** Writes ids, positions, token types and row ranges of a batch into the arena. @returns the number of rows */
function loadTokens({ kernels: { arena }, work }: Pass, batch: readonly TokenSequence[]): number {
  const view = (offset: number) => arena.ints(offset, work.limits.tokens);
  writeTokens(batch, view(work.tokenIds), view(work.positionIds), view(work.tokenTypeIds));
  return loadStarts(
    arena,
    work,
    batch.map(({ ids }) => ids.length),
  );
}

/** Writes the row range of each sequence. @returns the number of rows */
function loadStarts(arena: Arena, work: BodyWorkspace, lengths: readonly number[]): number {
  const starts = arena.ints(work.starts, work.limits.sequences + 1);
  starts[0] = 0;
  lengths.forEach((length, index) => {
    starts[index + 1] = starts[index]! + length;
  });
  return starts[lengths.length]!;
}

/** Writes ids, positions and token types of sequences, one after another. @param ids as long as all sequences together, or longer */
export function writeTokens(
  batch: readonly TokenSequence[],
  ids: Int32Array,
  positions: Int32Array,
  types: Int32Array,
): void {
  let row = 0;
  for (const sequence of batch)
    for (let t = 0; t < sequence.ids.length; t++, row++) {
      ids[row] = sequence.ids[t]!;
      positions[row] = t;
      types[row] = sequence.typeIds?.[t] ?? 0;
    }
}

/** The stream before the first layer: the sum of three embeddings, normalised. */
function embedTokens({ kernels, weights, work }: Pass, rows: number): void {
  kernels.rows.embed({
    ids: work.tokenIds,
    positions: work.positionIds,
    types: work.tokenTypeIds,
    rows,
    words: weights.wordEmbeddings,
    places: weights.positionEmbeddings,
    placeCount: weights.maxPositions,
    kinds: weights.tokenTypeEmbeddings,
    kindCount: weights.tokenTypes,
    out: work.hidden,
  });
  kernels.rows.layerNorm({
    ...weights.embeddingNorm,
    ...quantizedFor(weights, work, 0),
    x: work.hidden,
    out: work.hidden,
    epsilon: weights.layerNormEpsilon,
    rows,
    columns: weights.hiddenSize,
  });
}

/** Queries, keys, values and their attention for the sequences of `lengths`, which begin at row `first`. */
function attend(
  { kernels, weights: { layers, hiddenSize, attentionHeads }, work }: Pass,
  index: number,
  first: number,
  rows: number,
  lengths: readonly number[],
): void {
  const { queryKeyValue: qkv } = work;
  const { queryKeyValue, outlierSplits } = layers[index]!;
  multiply(kernels, {
    input: viewFor(work.hiddenQuantized, hiddenSize, outlierSplits.queryKeyValue),
    firstRow: first,
    rows,
    weights: queryKeyValue,
    out: qkv,
    scratch: work.blockScratch,
  });
  kernels.attention.attendInt16({
    qkv,
    starts: loadGroupStarts(kernels.arena, work, lengths),
    sequences: lengths.length,
    heads: attentionHeads,
    headSize: hiddenSize / attentionHeads,
    out: work.context + 4 * first * hiddenSize,
    scratch: work.attentionScratch,
  });
}

/** The quantised form of the stream that layer `index` takes, or the head after the last layer. */
function quantizedFor(weights: BodyWeights, work: BodyWorkspace, index: number): Quantized {
  const layer: FeedForwardWeights | undefined = allLayers(weights)[index];
  if (layer === undefined) return { quantized: work.finalQuantized };
  const { hiddenSize } = weights;
  const spread = layer.outlierSplits.queryKeyValue;
  return { quantized: viewFor(work.hiddenQuantized, hiddenSize, spread), spread };
}

/** Where and how a step quantises its result. */
interface Quantized {
  readonly quantized: QuantizedRows;
  readonly spread?: ColumnSpread | undefined;
}

/** Everything of a layer after attention, for rows first .. first + rows - 1. */
function feedForward(pass: Pass, index: number, first: number, rows: number): void {
  const { kernels, weights, work, observe } = pass;
  const { hiddenSize, intermediateSize, layerNormEpsilon: epsilon } = weights;
  const layer = allLayers(weights)[index]!;
  const splits = layer.outlierSplits;
  const stream = work.hidden + 4 * first * hiddenSize;
  const product = (weights: WeightMatrix, input: QuantizedRows, out: number) =>
    multiply(kernels, { input, rows, weights, out, scratch: work.blockScratch });
  const addToStream = (norm: NormWeights, target: Quantized, firstRow: number) =>
    kernels.rows.layerNorm({
      ...norm,
      ...target,
      x: work.chunkHidden,
      residual: stream,
      out: stream,
      firstRow,
      epsilon,
      rows,
      columns: hiddenSize,
    });
  kernels.rows.quantizeRows({ x: work.context + 4 * first * hiddenSize, rows, out: work.contextQuantized });
  product(layer.attentionOutput, work.contextQuantized, work.chunkHidden);
  const input = viewFor(work.chunkQuantized, hiddenSize, splits.intermediate);
  addToStream(layer.attentionNorm, { quantized: input, spread: splits.intermediate }, 0);
  observe?.('intermediate', index, { offset: stream, count: rows, columns: hiddenSize });
  product(layer.intermediate, input, work.chunkIntermediate);
  const inner = viewFor(work.intermediateQuantized, intermediateSize, splits.output);
  kernels.rows.geluQuantize({ x: work.chunkIntermediate, rows, out: inner, spread: splits.output });
  observe?.('output', index, { offset: work.chunkIntermediate, count: rows, columns: intermediateSize });
  product(layer.output, inner, work.chunkHidden);
  addToStream(layer.outputNorm, quantizedFor(weights, work, index + 1), first);
}
