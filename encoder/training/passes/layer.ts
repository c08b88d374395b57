import type { LinearParameters, NormParameters } from '../engine/parameters.ts';
import { linearBackward, linearForward, linearGradients } from './linear.ts';
import { type NormActivations, normBackward, normForward, normGradients } from './norm.ts';
import { type Batch, eachChunk, eachTask, type Thread } from './pass.ts';

// T rows of all sequences, H hidden, I intermediate. One layer of BERT (post-norm):
//   qkv = x Wqkv + b                 [T][3H]
//   context = attention(qkv)         [T][H]
//   middle = LayerNorm(x + context Wo + b)
//   inner = middle W1 + b, active = GELU(inner)   [T][I]
//   out = LayerNorm(middle + active W2 + b)

/** Parameters of a layer. */
export interface LayerParameters {
  /** [3H][H]: query, key and value stacked. */
  readonly queryKeyValue: LinearParameters;
  /** [H][H] */
  readonly attentionOutput: LinearParameters;
  readonly attentionNorm: NormParameters;
  /** [I][H] */
  readonly intermediate: LinearParameters;
  /** [H][I] */
  readonly output: LinearParameters;
  readonly outputNorm: NormParameters;
}

/** What the forward step keeps: 16 H + 2 floats per row where I = 4 H. */
export interface LayerActivations {
  readonly queryKeyValue: number;
  readonly context: number;
  readonly attentionNorm: NormActivations;
  readonly middle: number;
  readonly inner: number;
  readonly active: number;
  readonly outputNorm: NormActivations;
  readonly out: number;
}

/** Buffers that the layers share. */
export interface LayerGradients {
  /** [T][H] each. */
  readonly dSum: number;
  readonly dMiddle: number;
  readonly dContext: number;
  /** [T][I] */
  readonly dInner: number;
  /** [T][3H] */
  readonly dQueryKeyValue: number;
}

/** Sizes that the layers share. */
export interface LayerShape {
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly attentionHeads: number;
  readonly epsilon: number;
}

/** Byte offset of row `first` of f32[T][columns]. */
const row = (offset: number, first: number, columns: number): number => offset + 4 * first * columns;

/** @param call.x [T][H] @param call.spare [T][H], overwritten */
export function layerForward(
  thread: Thread,
  shape: LayerShape,
  layer: LayerParameters,
  kept: LayerActivations,
  batch: Batch,
  { x, spare }: { readonly x: number; readonly spare: number },
): void {
  const { kernels, team, scratch } = thread;
  const { hiddenSize: H, intermediateSize: I, attentionHeads: heads, epsilon } = shape;
  eachChunk(thread, batch.rows, (first, rows) =>
    linearForward(thread, layer.queryKeyValue, {
      x: row(x, first, H),
      rows,
      out: row(kept.queryKeyValue, first, 3 * H),
    }),
  );
  team.each(batch.sequences, (sequence) =>
    kernels.attention.attend({
      qkv: kept.queryKeyValue,
      starts: batch.starts + 4 * sequence,
      sequences: 1,
      heads,
      headSize: H / heads,
      out: kept.context,
      scratch,
    }),
  );
  eachChunk(thread, batch.rows, (first, rows) => {
    const [sum, middle] = [row(spare, first, H), row(kept.middle, first, H)];
    const [inner, active] = [row(kept.inner, first, I), row(kept.active, first, I)];
    const norm = { x: spare, first, rows, epsilon };
    linearForward(thread, layer.attentionOutput, { x: row(kept.context, first, H), rows, out: sum });
    normForward(thread, layer.attentionNorm, kept.attentionNorm, { ...norm, residual: x, out: kept.middle });
    linearForward(thread, layer.intermediate, { x: middle, rows, out: inner });
    kernels.rows.gelu(inner, rows * I, active);
    linearForward(thread, layer.output, { x: active, rows, out: sum });
    normForward(thread, layer.outputNorm, kept.outputNorm, { ...norm, residual: kept.middle, out: kept.out });
  });
}

/**
 * Adds the gradients of the layer's parameters.
 *
 * @param call.x what the layer took
 * @param call.dOut [T][H], the gradient of `kept.out`
 * @param call.dx [T][H], receives the gradient of x; only part of it is there where `isLowest`
 * @param call.isLowest nothing below is trained
 */
export function layerBackward(
  thread: Thread,
  shape: LayerShape,
  layer: LayerParameters,
  kept: LayerActivations,
  batch: Batch,
  call: LayerGradients & {
    readonly x: number;
    readonly dOut: number;
    readonly dx: number;
    readonly isLowest: boolean;
  },
): void {
  const { kernels, team, scratch } = thread;
  const { hiddenSize: H, attentionHeads: heads } = shape;
  const { x, dOut, dx, dSum, dMiddle, dContext, dInner, dQueryKeyValue } = call;
  feedForwardBackward(thread, shape, layer, kept, batch, call);
  team.each(batch.sequences, (sequence) =>
    kernels.training.attentionBackward({
      qkv: kept.queryKeyValue,
      starts: batch.starts + 4 * sequence,
      sequences: 1,
      heads,
      headSize: H / heads,
      dOut: dContext,
      dQkv: dQueryKeyValue,
      scratch,
    }),
  );
  const { rows } = batch;
  eachTask(thread, [
    ...linearGradients(layer.intermediate, { dOut: dInner, x: kept.middle, rows }),
    ...linearGradients(layer.output, { dOut: dSum, x: kept.active, rows }),
    ...linearGradients(layer.queryKeyValue, { dOut: dQueryKeyValue, x, rows }),
    ...linearGradients(layer.attentionOutput, { dOut: dx, x: kept.context, rows }),
    ...normGradients(layer.outputNorm, kept.outputNorm, { dOut, rows }),
    ...normGradients(layer.attentionNorm, kept.attentionNorm, { dOut: dMiddle, rows }),
  ]);
  if (call.isLowest) return;
  eachChunk(thread, rows, (first, count) =>
    linearBackward(thread, layer.queryKeyValue, {
      dOut: row(dQueryKeyValue, first, 3 * H),
      rows: count,
      dx: row(dx, first, H),
      accumulate: true,
    }),
  );
}

/** From the gradient of the layer's result down to that of the attention's: writes all of `call` but `dQueryKeyValue`. */
function feedForwardBackward(
  thread: Thread,
  { hiddenSize: H, intermediateSize: I }: LayerShape,
  layer: LayerParameters,
  kept: LayerActivations,
  batch: Batch,
  call: LayerGradients & { readonly dOut: number; readonly dx: number },
): void {
  const { kernels } = thread;
  const { dOut, dx, dSum, dMiddle, dContext, dInner } = call;
  eachChunk(thread, batch.rows, (first, rows) => {
    const [sum, middle] = [row(dSum, first, H), row(dMiddle, first, H)];
    const inner = row(dInner, first, I);
    normBackward(thread, layer.outputNorm, kept.outputNorm, { dOut, dx: dSum, first, rows });
    linearBackward(thread, layer.output, { dOut: sum, rows, dx: inner });
    kernels.training.geluBackward({
      x: row(kept.inner, first, I),
      dOut: inner,
      dx: inner,
      count: rows * I,
    });
    kernels.arena.floats(middle, rows * H).set(kernels.arena.floats(sum, rows * H));
    linearBackward(thread, layer.intermediate, { dOut: inner, rows, dx: middle, accumulate: true });
    normBackward(thread, layer.attentionNorm, kept.attentionNorm, { dOut: dMiddle, dx, first, rows });
    linearBackward(thread, layer.attentionOutput, {
      dOut: row(dx, first, H),
      rows,
      dx: row(dContext, first, H),
    });
  });
}
