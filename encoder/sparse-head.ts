import { type ArenaLayout, type Int8Matrix, type Kernels, padTo } from '../kernels/index.ts';
import {
  estimateMaxima,
  MOST_CANDIDATES,
  maximaOfCandidates,
  planScreen,
  planScreenWorkspace,
  type ScreenWeights,
  type ScreenWorkspace,
} from './head-screen.ts';
import type { ModelConfig } from './model.ts';
import { type TermWeighting, termWeight } from './term-weight.ts';
import type { HiddenStates } from './transformer/body.ts';
import type { BodyWeights } from './transformer/body-weights.ts';
import type { Head } from './transformer/head.ts';
import { SPECIAL_IDS } from './transformer/tokenizer/wordpiece.ts';
import type { NormWeights, WeightPlanner } from './transformer/weight-planner.ts';
import { type BatchLimits, inChunks } from './transformer/workspace.ts';
import type { SparseVector } from './types.ts';

/** The masked-language-model head: dense, GELU, LayerNorm, then the decoder, tied to the word embeddings. */
interface SparseHeadWeights {
  readonly transform: Int8Matrix;
  readonly norm: NormWeights;
  /** [V][H]: the word embeddings with the bias of the decoder. */
  readonly decoder: Int8Matrix;
  /** Leaves most terms out before the decoder; absent in models that have none. */
  readonly screen: ScreenWeights | undefined;
  readonly weighting: TermWeighting;
}

/** Buffers of one thread. V = vocabulary. */
interface SparseHeadWorkspace {
  /** f32[sequences][maximaStride]: the largest logit of each term, from quantised rows, or the screen's estimate of it. */
  readonly maxima: number;
  /** i32[sequences][maximaStride]: the row that has it. */
  readonly argmaxRows: number;
  readonly maximaStride: number;
  /** i32[V], i32[V] and f32[V]: the terms that can be on, their rows and exact logits. */
  readonly termIds: number;
  readonly rows: number;
  readonly logits: number;
  readonly screen: ScreenWorkspace | undefined;
}

/** Vectors end to end, `counts[i]` terms each. */
type PackedVectors = {
  readonly counts: Int32Array;
  readonly termIds: Uint16Array;
  readonly weights: Float32Array;
};

/** Bounds the [sequences][V] maxima to 4 MB per thread. */
const MAX_BATCH_SEQUENCES = 32;

/**
 * Terms whose largest quantised logit is below this are taken to be off; the margin allows for the rounding of the product.
 * A term that is missed has an exact logit just above 0 and would weigh next to nothing.
 */
const LEAST_LOGIT = -0.05;

/**
 * Sparse vectors from the body's last rows: transform, GELU, LayerNorm, tied decoder with the maximum over all tokens
 * of a document ([CLS] and [SEP] too), then the activation (SPLADE-doc; Geng et al., arXiv 2411.04403, section 3.1).
 *
 * The maximum is found on quantised rows. The terms that can be on then get their logit from the f32 row that won, which
 * lowers the error of term weights by a sixth for 1 to 4 % of the time.
 */
export const sparseHead: Head<
  SparseVector,
  ModelConfig,
  SparseHeadWeights,
  SparseHeadWorkspace,
  PackedVectors
> = {
  workerEntry: 'encoder/sparse-worker',
  lastRows: 'all',
  maxBatchSequences: MAX_BATCH_SEQUENCES,
  planWeights,
  planWorkspace,
  run,
  pack: packVectors,
  unpack: unpackVectors,
};

function planWeights(
  planner: WeightPlanner,
  { winnow }: ModelConfig,
  { hiddenSize, wordEmbeddings }: BodyWeights,
): SparseHeadWeights {
  const transform = 'cls.predictions.transform';
  const bias = 'cls.predictions.bias';
  return {
    transform: planner.int8Matrix(
      [`${transform}.dense.weight`, `${transform}.dense.bias`],
      hiddenSize,
      hiddenSize,
    ),
    norm: planner.layerNorm(`${transform}.LayerNorm`, hiddenSize),
    decoder: planner.withBias(wordEmbeddings, planner.has(bias) ? bias : undefined),
    screen: planScreen(planner, wordEmbeddings.outputs, hiddenSize),
    weighting: { activation: winnow.activation, exponent: winnow.exponent },
  };
}

function planWorkspace(
  layout: ArenaLayout,
  { decoder: { outputs: vocabulary }, screen }: SparseHeadWeights,
  limits: BatchLimits,
): SparseHeadWorkspace {
  const { sequences } = limits;
  const maximaStride = padTo(vocabulary, 32);
  return {
    maxima: layout.reserve(4 * sequences * maximaStride),
    argmaxRows: layout.reserve(4 * sequences * maximaStride),
    maximaStride,
    termIds: layout.reserve(4 * vocabulary),
    rows: layout.reserve(4 * vocabulary),
    logits: layout.reserve(4 * vocabulary),
    screen: screen && planScreenWorkspace(layout, screen, limits),
  };
}

function run(
  kernels: Kernels,
  states: HiddenStates,
  weights: SparseHeadWeights,
  own: SparseHeadWorkspace,
): SparseVector[] {
  transformRows(kernels, states, weights);
  const target = { out: own.maxima, outStride: own.maximaStride };
  if (weights.screen) estimateMaxima(kernels, states, weights.screen, own.screen!, target);
  else multiplyDecoder(kernels, states, weights, own, 0, states.sequences);
  return Array.from({ length: states.sequences }, (_, sequence) => {
    const count = weights.screen
      ? collectCandidates(kernels, states, weights, own, sequence)
      : collectTerms(kernels, weights, own, sequence);
    return vectorOf(kernels, states, weights, own, count);
  });
}

/** Largest logits of `count` sequences from `first` on, over the whole vocabulary. */
function multiplyDecoder(
  kernels: Kernels,
  { work }: HiddenStates,
  { decoder }: SparseHeadWeights,
  { maxima, argmaxRows, maximaStride }: SparseHeadWorkspace,
  first: number,
  count: number,
): void {
  kernels.head.argmaxInt8({
    input: work.finalQuantized,
    starts: work.starts + 4 * first,
    documents: count,
    weights: decoder,
    out: maxima + 4 * first * maximaStride,
    argmaxRow: argmaxRows + 4 * first * maximaStride,
    outStride: maximaStride,
  });
}

/** Replaces the body's rows by those that the decoder takes: `hidden` and `finalQuantized` are overwritten. */
export function transformRows(
  kernels: Kernels,
  { body, work, rows }: HiddenStates,
  { transform, norm }: SparseHeadWeights,
): void {
  inChunks(rows, (first, count) => {
    kernels.dense.gemmInt8({
      input: work.finalQuantized,
      firstRow: first,
      rows: count,
      weights: transform,
      out: work.chunkHidden,
    });
    kernels.rows.gelu(work.chunkHidden, count * body.hiddenSize);
    kernels.rows.layerNorm({
      ...norm,
      x: work.chunkHidden,
      out: work.hidden + 4 * first * body.hiddenSize,
      quantized: work.finalQuantized,
      firstRow: first,
      epsilon: body.layerNormEpsilon,
      rows: count,
      columns: body.hiddenSize,
    });
  });
}

/** Writes the terms that can be on and the rows of their maxima. @returns how many there are */
function collectTerms(
  kernels: Kernels,
  { decoder }: SparseHeadWeights,
  own: SparseHeadWorkspace,
  sequence: number,
): number {
  const offset = 4 * sequence * own.maximaStride;
  const count = kernels.rows.collectAbove({
    values: own.maxima + offset,
    count: decoder.outputs,
    threshold: LEAST_LOGIT,
    indexes: own.termIds,
    kept: own.logits,
  });
  const termIds = kernels.arena.ints(own.termIds, count);
  const argmaxRows = kernels.arena.ints(own.argmaxRows + offset, decoder.outputs);
  const rows = kernels.arena.ints(own.rows, count);
  for (let i = 0; i < count; i++) rows[i] = argmaxRows[termIds[i]!]!;
  return count;
}

/** As {@link collectTerms}, where the maxima are estimates: only terms whose estimate is above 0 are multiplied. */
function collectCandidates(
  kernels: Kernels,
  states: HiddenStates,
  weights: SparseHeadWeights,
  own: SparseHeadWorkspace,
  sequence: number,
): number {
  const found = kernels.rows.collectAbove({
    values: own.maxima + 4 * sequence * own.maximaStride,
    count: weights.decoder.outputs,
    threshold: 0,
    indexes: own.termIds,
    kept: own.logits,
  });
  if (found > MOST_CANDIDATES) {
    multiplyDecoder(kernels, states, weights, own, sequence, 1);
    return collectTerms(kernels, weights, own, sequence);
  }
  if (found === 0) return 0;
  const candidates = kernels.arena.ints(own.termIds, found);
  const exact = maximaOfCandidates(kernels, states, sequence, weights.decoder, candidates, own.screen!);
  const rows = kernels.arena.ints(own.rows, found);
  let count = 0;
  for (let i = 0; i < found; i++) {
    if (!(exact.maxima[i]! > LEAST_LOGIT)) continue;
    candidates[count] = candidates[i]!;
    rows[count++] = exact.rows[i]!;
  }
  return count;
}

/** @param count terms that can be on: the first entries of `termIds` and `rows` */
function vectorOf(
  kernels: Kernels,
  { work, rows }: HiddenStates,
  { decoder, weighting }: SparseHeadWeights,
  own: SparseHeadWorkspace,
  count: number,
): SparseVector {
  kernels.head.scorePairs({
    x: work.hidden,
    rowCount: rows,
    weights: decoder,
    rows: own.rows,
    terms: own.termIds,
    pairs: count,
    out: own.logits,
  });
  return activate(kernels.arena.ints(own.termIds, count), kernels.arena.floats(own.logits, count), weighting);
}

/** Weights of the terms that are on (logit > 0), without the special ids. */
function activate(termIds: Int32Array, logits: Float32Array, weighting: TermWeighting): SparseVector {
  const ids = new Uint16Array(termIds.length);
  const weights = new Float32Array(termIds.length);
  let count = 0;
  for (let i = 0; i < termIds.length; i++) {
    if (!(logits[i]! > 0) || SPECIAL_IDS.has(termIds[i]!)) continue;
    ids[count] = termIds[i]!;
    weights[count++] = termWeight(logits[i]!, weighting);
  }
  return { termIds: ids.slice(0, count), weights: weights.slice(0, count) };
}

function packVectors(vectors: readonly SparseVector[]): PackedVectors {
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

function unpackVectors({ counts, termIds, weights }: PackedVectors): SparseVector[] {
  let offset = 0;
  return Array.from(counts, (count) => {
    const [from, to] = [offset, offset + count];
    offset = to;
    return { termIds: termIds.slice(from, to), weights: weights.slice(from, to) };
  });
}
