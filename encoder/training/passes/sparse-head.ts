import type { F32Matrix, Int8Matrix, QuantizedRows } from '../../../kernels/index.ts';
import { padTo } from '../../../kernels/index.ts';
import type { LinearParameters, NormParameters, Parameter } from '../engine/parameters.ts';
import { linearBackward, linearForward, linearGradients } from './linear.ts';
import { type NormActivations, normBackward, normForward, normGradients } from './norm.ts';
import { type Batch, eachChunk, eachTask, type Thread } from './pass.ts';

// T rows, H hidden, V vocabulary. inner = x W + b, active = GELU(inner), states = LayerNorm(active), all [T][H];
// the logit of a term in a sequence is the maximum over its rows of states . decoder[term] + bias[term].

/** The masked-language-model head. */
export interface SparseHeadParameters {
  /** [H][H] */
  readonly transform: LinearParameters;
  readonly norm: NormParameters;
  /** [V][H]: the word embeddings. */
  readonly decoder: Parameter;
  /** [1][V] */
  readonly decoderBias: Parameter;
  /** The decoder as products take it, with the bias above: int8 as in the product, or exact. */
  readonly packed:
    | { readonly kind: 'int8'; readonly matrix: Int8Matrix }
    | { readonly kind: 'f32'; readonly matrix: F32Matrix };
}

/** What the forward step keeps, and its result. */
export interface SparseHeadActivations {
  readonly inner: number;
  readonly active: number;
  readonly norm: NormActivations;
  readonly states: number;
  readonly quantized: QuantizedRows;
  /** By sequence, `stride` = V padded to 32: f32 largest logits of all terms, and i32 rows that have them. */
  readonly maxima: number;
  readonly argmaxRows: number;
  readonly stride: number;
  /** By sequence: i32 number of terms that are on, then i32[V] their ids, i32[V] their rows, f32[V] their logits. */
  readonly counts: number;
  readonly terms: number;
  readonly rows: number;
  readonly logits: number;
}

/** As in the product (sparse-head.ts): a term whose quantised logit is below this is taken to be off. */
const LEAST_LOGIT = -0.05;

/**
 * @param call.x [T][H], the body's last states
 * @param call.withTerms sequences at the front whose terms are found; the states are computed for all
 */
export function sparseHeadForward(
  thread: Thread,
  head: SparseHeadParameters,
  kept: SparseHeadActivations,
  batch: Batch,
  { x, epsilon, withTerms }: { readonly x: number; readonly epsilon: number; readonly withTerms: number },
): void {
  const { kernels, team } = thread;
  const H = head.decoder.columns;
  eachChunk(thread, batch.rows, (first, rows) => {
    const skipped = 4 * first * H;
    linearForward(thread, head.transform, { x: x + skipped, rows, out: kept.inner + skipped });
    kernels.rows.gelu(kept.inner + skipped, rows * H, kept.active + skipped);
    normForward(thread, head.norm, kept.norm, { x: kept.active, out: kept.states, first, rows, epsilon });
    if (head.packed.kind === 'int8' && withTerms > 0)
      kernels.rows.quantizeRows({ x: kept.states + skipped, rows, out: kept.quantized, firstRow: first });
  });
  team.each(withTerms, (sequence) => termsOf(thread, head, kept, batch, sequence));
}

function termsOf(
  { kernels }: Thread,
  { packed, decoder }: SparseHeadParameters,
  kept: SparseHeadActivations,
  { starts, rows: rowCount }: Batch,
  sequence: number,
): void {
  const { arena } = kernels;
  const V = decoder.rows;
  const offset = 4 * sequence * kept.stride;
  const call = {
    starts: starts + 4 * sequence,
    documents: 1,
    out: kept.maxima + offset,
    argmaxRow: kept.argmaxRows + offset,
    outStride: kept.stride,
  };
  if (packed.kind === 'int8')
    kernels.head.argmaxInt8({ ...call, input: kept.quantized, weights: packed.matrix });
  else kernels.head.argmaxF32({ ...call, x: kept.states, weights: packed.matrix });
  const count = kernels.rows.collectAbove({
    values: kept.maxima + offset,
    count: V,
    threshold: packed.kind === 'int8' ? LEAST_LOGIT : 0,
    indexes: kept.terms + offset,
    kept: kept.logits + offset,
  });
  arena.i32[kept.counts / 4 + sequence] = count;
  const terms = arena.ints(kept.terms + offset, count);
  const argmaxRows = arena.ints(kept.argmaxRows + offset, V);
  const rows = arena.ints(kept.rows + offset, count);
  for (let i = 0; i < count; i++) rows[i] = argmaxRows[terms[i]!]!;
  if (packed.kind === 'int8')
    kernels.head.scorePairs({
      x: kept.states,
      rowCount,
      weights: packed.matrix,
      rows: kept.rows + offset,
      terms: kept.terms + offset,
      pairs: count,
      out: kept.logits + offset,
    });
}

/** Rows and terms of the maxima that have a gradient: i32[pairs], i32[pairs], f32[pairs]. */
export interface TermGradients {
  readonly rows: number;
  readonly terms: number;
  readonly gradients: number;
  readonly pairs: number;
}

/**
 * Adds the gradients of the head's parameters. Exact, since all other pairs of row and term have none (head_backward).
 *
 * @param call.dx [T][H], receives the gradient of x; absent: nothing below is trained
 * @param call.dStates,call.dInner [T][H], overwritten
 */
export function sparseHeadBackward(
  thread: Thread,
  head: SparseHeadParameters,
  kept: SparseHeadActivations,
  { rows }: Batch,
  call: {
    readonly x: number;
    readonly dx: number | undefined;
    readonly dStates: number;
    readonly dInner: number;
    readonly pairs: TermGradients;
  },
): void {
  const { kernels, team } = thread;
  const { x, dx, dStates, dInner, pairs } = call;
  const H = head.decoder.columns;
  team.once(() => {
    kernels.arena.floats(dStates, rows * H).fill(0);
    kernels.head.backward({
      ...pairs,
      x: kept.states,
      w: head.decoder.offset,
      dx: dStates,
      ...(head.decoder.trained && { dw: head.decoder.trained.gradient }),
      rowCount: rows,
      termCount: head.decoder.rows,
      columns: H,
    });
    if (head.decoderBias.trained) addBiasGradients(thread, head.decoderBias.trained.gradient, pairs);
  });
  eachChunk(thread, rows, (first, count) => {
    const skipped = 4 * first * H;
    normBackward(thread, head.norm, kept.norm, { dOut: dStates, dx: dInner, first, rows: count });
    const inner = { x: kept.inner + skipped, dOut: dInner + skipped, dx: dInner + skipped };
    kernels.training.geluBackward({ ...inner, count: count * H });
    if (dx !== undefined)
      linearBackward(thread, head.transform, { dOut: dInner + skipped, rows: count, dx: dx + skipped });
  });
  eachTask(thread, [
    ...linearGradients(head.transform, { dOut: dInner, x, rows }),
    ...normGradients(head.norm, kept.norm, { dOut: dStates, rows }),
  ]);
}

function addBiasGradients({ kernels: { arena } }: Thread, to: number, pairs: TermGradients): void {
  const terms = arena.ints(pairs.terms, pairs.pairs);
  const gradients = arena.floats(pairs.gradients, pairs.pairs);
  for (let i = 0; i < terms.length; i++) arena.f32[to / 4 + terms[i]!]! += gradients[i]!;
}

/** Floats per sequence of each of the arrays over the vocabulary. */
export const termStride = (vocabulary: number): number => padTo(vocabulary, 32);
