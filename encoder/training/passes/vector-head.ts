import type { LinearParameters } from '../engine/parameters.ts';
import { linearBackward, linearForward, linearGradients } from './linear.ts';
import { type Batch, eachTask, type Thread } from './pass.ts';

// S sequences, T rows, H hidden, N numbers per vector: mean[S][H] of the rows of a sequence, vector[S][N] = mean W + b. The length is
// set to 1 where vectors are compared (losses/cosine.ts).

/** What the forward step keeps: f32[S][H], and its result f32[S][N]. */
export interface VectorHeadActivations {
  readonly means: number;
  readonly vectors: number;
}

/** @param x [T][H], the body's last states */
export function vectorHeadForward(
  thread: Thread,
  head: LinearParameters,
  kept: VectorHeadActivations,
  { starts, sequences }: Batch,
  x: number,
): void {
  const { arena } = thread.kernels;
  const H = head.weight.columns;
  thread.team.once(() => {
    const first = arena.ints(starts, sequences + 1);
    for (let s = 0; s < sequences; s++) {
      const sum = new Float64Array(H);
      const rows = arena.floats(x + 4 * first[s]! * H, (first[s + 1]! - first[s]!) * H);
      for (let at = 0; at < rows.length; at += H) for (let k = 0; k < H; k++) sum[k]! += rows[at + k]!;
      const means = arena.floats(kept.means + 4 * s * H, H);
      for (let k = 0; k < H; k++) means[k] = (sum[k]! * H) / rows.length;
    }
    linearForward(thread, head, { x: kept.means, rows: sequences, out: kept.vectors });
  });
}

/**
 * Adds the gradients of the map.
 *
 * @param call.dVectors [S][N]
 * @param call.dx [T][H], to which the gradient of x is added; absent: nothing below is trained
 * @param call.dMeans [S][H], overwritten
 */
export function vectorHeadBackward(
  thread: Thread,
  head: LinearParameters,
  kept: VectorHeadActivations,
  { starts, sequences }: Batch,
  call: { readonly dVectors: number; readonly dMeans: number; readonly dx: number | undefined },
): void {
  const { arena } = thread.kernels;
  const H = head.weight.columns;
  eachTask(thread, linearGradients(head, { dOut: call.dVectors, x: kept.means, rows: sequences }));
  const { dx } = call;
  if (dx === undefined) return;
  thread.team.once(() => {
    linearBackward(thread, head, { dOut: call.dVectors, rows: sequences, dx: call.dMeans });
    const first = arena.ints(starts, sequences + 1);
    for (let s = 0; s < sequences; s++) {
      const share = 1 / (first[s + 1]! - first[s]!);
      const mean = arena.floats(call.dMeans + 4 * s * H, H);
      const rows = arena.floats(dx + 4 * first[s]! * H, (first[s + 1]! - first[s]!) * H);
      for (let at = 0; at < rows.length; at += H)
        for (let k = 0; k < H; k++) rows[at + k]! += mean[k]! * share;
    }
  });
}
