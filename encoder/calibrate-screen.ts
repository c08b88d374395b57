import { EigenvalueDecomposition, Matrix } from 'ml-matrix';
import { WinnowError } from '../errors.ts';
import { SCREEN } from './head-screen.ts';
import type { ModelConfig } from './model.ts';
import { sparseHead, transformRows } from './sparse-head.ts';
import { rowsOf } from './transformer/body.ts';
import type { Head } from './transformer/head.ts';
import { InferencePool } from './transformer/inference-pool.ts';
import { quantizeWeightRows, TensorSource } from './transformer/tensor-source.ts';
import type { ModelWeights, Tensor } from './transformer/weights-file.ts';
import type { SparseVector } from './types.ts';

export interface ScreenOptions {
  /** Numbers that a state is projected to, 16 to the hidden size; default 128. The estimate costs `size / H` of the whole product. */
  readonly size?: number;
  /** Share of the terms that are on which the screen may miss, above 0; default .001. A smaller one leaves more candidates. */
  readonly misses?: number;
}

/** A screen, and what it does on the texts that were held out for its margin, computed as in use. */
export interface CalibratedScreen {
  /** Of the file {@link SCREEN_FILE}. */
  readonly tensors: Map<string, Tensor>;
  /** Deviations of its own error that are added to a term's estimate. */
  readonly margin: number;
  /** Share of the terms that are on and are missed, and of the sum of their weights. */
  readonly misses: number;
  readonly missedWeight: number;
  /** Share of the vocabulary that is left to compute. */
  readonly candidates: number;
}

/** Sequences at least: half of them make the projection, the others the margin. */
const LEAST_SEQUENCES = 8;
/** Rows that make the covariance: more change nothing. */
const MOST_ROWS = 20_000;

/**
 * Makes a screen for a model from texts that resemble those it will encode (head-screen.ts).
 *
 * The projection is the one of its size with the least squared error of logits over the states of the texts and the rows of the
 * decoder: with whitened states, the first eigenvectors of the decoder's second moments. A term's margin is a multiple of the
 * deviation of its error; the multiple is a quantile over the terms that are on in texts that the projection has not seen.
 *
 * @param model without a screen
 * @param sequences token ids with [CLS] and [SEP]; 8 or more, some hundreds for a good screen
 * @throws WinnowError WINNOW_BAD_ARGUMENT for too few sequences or an option out of range
 */
export async function calibrateScreen(
  model: ModelWeights<ModelConfig>,
  sequences: readonly { readonly ids: ArrayLike<number> }[],
  { size = 128, misses = 0.001 }: ScreenOptions = {},
): Promise<CalibratedScreen> {
  const hidden = model.config.hidden_size;
  if (sequences.length < LEAST_SEQUENCES || !(size >= 16 && size <= hidden) || !(misses > 0 && misses < 1))
    throw new WinnowError(
      'WINNOW_BAD_ARGUMENT',
      'a screen needs 8 texts or more, a size from 16 to the hidden size, misses in 0..1',
      {
        place: 'screen',
        hint: `there are ${sequences.length} texts, size ${size} of ${hidden}, misses ${misses}`,
      },
    );
  const states = await resultsOf(statesHead, model, sequences);
  const vectors = await resultsOf(sparseHead, model, sequences);
  const heldOut = <T>(all: readonly T[]): T[] => all.filter((_, i) => i % 2 === 1);
  const decoder = decoderOf(model);
  const { mean, covariance } = momentsOf(
    states.filter((_, i) => i % 2 === 0),
    hidden,
  );
  const { project, expand } = projectionOf(covariance, secondMoments(decoder.rows), size);
  const terms = decoder.rows.mmul(expand);
  const deviations = errorDeviations(decoder.rows, terms, project, covariance);
  const center = Matrix.rowVector(mean);
  const centered = decoder.rows.mmul(center.transpose()).to1DArray();
  const bias = Float32Array.from(decoder.bias, (own, term) => own + centered[term]!);
  const unseen = { states: heldOut(states), vectors: heldOut(vectors) };
  const margin = marginMultiple(unseen, { project, mean, terms, bias, deviations }, misses);
  const offset = center.mmul(project).mul(-1).to1DArray();
  const withMargin = bias.map((value, term) => value + margin * deviations[term]!);
  const tensors = new Map<string, Tensor>([
    [SCREEN.states[0], int8Of(project.transpose())],
    [SCREEN.states[1], { dtype: 'f32', shape: [size], data: Float32Array.from(offset) }],
    [SCREEN.terms[0], int8Of(terms)],
    [SCREEN.terms[1], { dtype: 'f32', shape: [decoder.rows.rows], data: withMargin }],
  ]);
  const whole = { ...model, tensors: new Map([...model.tensors, ...tensors]) };
  const screened = await resultsOf(sparseHead, whole, heldOut(sequences));
  return {
    tensors,
    margin,
    ...missesOf(unseen.vectors, screened),
    candidates: candidateShare(unseen.states, { project, mean, terms, bias: withMargin }),
  };
}

/** What `screened` lacks of the terms of `whole`. */
function missesOf(
  whole: readonly SparseVector[],
  screened: readonly SparseVector[],
): { readonly misses: number; readonly missedWeight: number } {
  let [terms, missed, weight, missedWeight] = [0, 0, 0, 0];
  whole.forEach(({ termIds, weights }, i) => {
    const found = new Set(screened[i]!.termIds);
    terms += termIds.length;
    termIds.forEach((term, j) => {
      weight += weights[j]!;
      if (found.has(term)) return;
      missed++;
      missedWeight += weights[j]!;
    });
  });
  return { misses: missed / Math.max(1, terms), missedWeight: missedWeight / Math.max(1e-9, weight) };
}

/** The rows that the decoder takes, f32[tokens][H] of each sequence. */
const statesHead: Head<Float32Array, ModelConfig, ReturnType<typeof sparseHead.planWeights>, undefined> = {
  workerEntry: sparseHead.workerEntry,
  lastRows: sparseHead.lastRows,
  maxBatchSequences: sparseHead.maxBatchSequences,
  planWeights: sparseHead.planWeights,
  planWorkspace: () => undefined,
  run(kernels, states, weights) {
    transformRows(kernels, states, weights);
    return Array.from({ length: states.sequences }, (_, i) => rowsOf(kernels, states, i).slice());
  },
  // Results stay on the calling thread.
  pack: () => ({}),
  unpack: () => [],
};

/** One result per sequence, computed on the calling thread. */
async function resultsOf<Result>(
  head: Head<Result, ModelConfig>,
  model: ModelWeights<ModelConfig>,
  sequences: readonly { readonly ids: ArrayLike<number> }[],
): Promise<Result[]> {
  const pool = InferencePool.create(head, model, { threads: 0 });
  try {
    return await pool.run(sequences);
  } finally {
    await pool.close();
  }
}

/** Rows [V][H] and bias [V] of the decoder. */
function decoderOf({ config, tensors }: ModelWeights<ModelConfig>): { rows: Matrix; bias: Float32Array } {
  const { vocab_size: vocabulary, hidden_size: hidden } = config;
  const source = new TensorSource(tensors);
  const values = source.floats('bert.embeddings.word_embeddings.weight', [vocabulary, hidden]);
  const name = 'cls.predictions.bias';
  return {
    rows: Matrix.from1DArray(vocabulary, hidden, values),
    bias: source.has(name) ? source.floats(name, [vocabulary]) : new Float32Array(vocabulary),
  };
}

/** Mean [H] and covariance [H][H] of rows, evenly taken from all of them. */
function momentsOf(
  states: readonly Float32Array[],
  hidden: number,
): { mean: Float64Array; covariance: Matrix } {
  const rows = states.flatMap((state) =>
    Array.from({ length: state.length / hidden }, (_, t) => state.subarray(t * hidden, (t + 1) * hidden)),
  );
  const every = Math.max(1, Math.ceil(rows.length / MOST_ROWS));
  const used = rows.filter((_, i) => i % every === 0);
  const mean = new Float64Array(hidden);
  for (const row of used) for (let k = 0; k < hidden; k++) mean[k]! += row[k]! / used.length;
  const centered = new Matrix(used.map((row) => Array.from(row, (value, k) => value - mean[k]!)));
  return { mean, covariance: secondMoments(centered) };
}

const secondMoments = (rows: Matrix): Matrix => rows.transpose().mmul(rows).div(rows.rows);

/**
 * project [H][size] and expand [H][size] with x . w close to (x project) . (w expand). Both sides get the same scale by dimension,
 * since both become int8.
 */
function projectionOf(
  covariance: Matrix,
  moments: Matrix,
  size: number,
): { project: Matrix; expand: Matrix } {
  const { values, vectors } = eigen(covariance);
  const least = 1e-9 * values[0]!;
  const power = (exponent: number) =>
    vectors
      .clone()
      .mulRowVector(values.map((value) => Math.max(value, least) ** exponent))
      .mmul(vectors.transpose());
  const root = power(0.5);
  const important = eigen(root.mmul(moments).mmul(root));
  const first = important.vectors.subMatrix(0, covariance.rows - 1, 0, size - 1);
  const scales = important.values.slice(0, size).map((value) => Math.max(value, 1e-12) ** 0.25);
  return {
    project: power(-0.5).mmul(first).mulRowVector(scales),
    expand: root.mmul(first).mulRowVector(scales.map((scale) => 1 / scale)),
  };
}

/** Of a symmetric matrix, the largest first; vectors are columns. */
function eigen(matrix: Matrix): { values: number[]; vectors: Matrix } {
  const found = new EigenvalueDecomposition(matrix, { assumeSymmetric: true });
  const order = found.realEigenvalues
    .map((_, i) => i)
    .sort((a, b) => found.realEigenvalues[b]! - found.realEigenvalues[a]!);
  return {
    values: order.map((i) => found.realEigenvalues[i]!),
    vectors: found.eigenvectorMatrix.subMatrixColumn(order),
  };
}

/** Standard deviation of each term's error over the states: of x . (w - project (expand w)). */
function errorDeviations(rows: Matrix, terms: Matrix, project: Matrix, covariance: Matrix): Float64Array {
  const rest = Matrix.sub(rows, terms.mmul(project.transpose()));
  const spread = rest.mmul(covariance);
  return Float64Array.from({ length: rows.rows }, (_, term) => {
    let variance = 0;
    for (let k = 0; k < rows.columns; k++) variance += rest.get(term, k) * spread.get(term, k);
    return Math.sqrt(Math.max(0, variance));
  });
}

/** Texts whose estimates are counted over the whole vocabulary, which takes most of the time. */
const COUNTED_TEXTS = 12;

/** Share of the terms with an estimate above 0. */
function candidateShare(
  documents: readonly Float32Array[],
  { project, mean, terms, bias }: Omit<Estimate, 'deviations'>,
): number {
  const counted = documents.slice(0, COUNTED_TEXTS);
  const transposed = terms.transpose();
  const shares = counted.map((state) => {
    const rows = Matrix.from1DArray(state.length / project.rows, project.rows, state);
    const estimates = rows
      .subRowVector([...mean])
      .mmul(project)
      .mmul(transposed);
    return (
      bias.reduce((count, own, term) => count + Number(estimates.maxColumn(term) + own > 0), 0) / bias.length
    );
  });
  return shares.reduce((sum, share) => sum + share, 0) / Math.max(1, shares.length);
}

interface Estimate {
  readonly project: Matrix;
  readonly mean: Float64Array;
  readonly terms: Matrix;
  readonly bias: Float32Array;
  readonly deviations: Float64Array;
}

/** The multiple of its deviation that a term's estimate needs so that all but `misses` of the terms that are on are candidates. */
function marginMultiple(
  {
    states,
    vectors,
  }: { readonly states: readonly Float32Array[]; readonly vectors: readonly SparseVector[] },
  { project, mean, terms, bias, deviations }: Estimate,
  misses: number,
): number {
  const hidden = project.rows;
  const needed: number[] = [];
  states.forEach((state, document) => {
    const rows = Matrix.from1DArray(state.length / hidden, hidden, state);
    const projected = rows.subRowVector([...mean]).mmul(project);
    const on = [...vectors[document]!.termIds];
    const estimates = projected.mmul(terms.subMatrixRow(on).transpose());
    on.forEach((term, column) => {
      const largest = Math.max(...estimates.getColumn(column)) + bias[term]!;
      needed.push(-largest / Math.max(deviations[term]!, 1e-9));
    });
  });
  needed.sort((a, b) => b - a);
  return Math.max(0, needed[Math.floor(misses * needed.length)] ?? 0);
}

function int8Of(matrix: Matrix): Tensor {
  const { rows, columns } = matrix;
  return {
    dtype: 'i8',
    shape: [rows, columns],
    ...quantizeWeightRows(Float32Array.from(matrix.to1DArray()), rows, columns),
  };
}
