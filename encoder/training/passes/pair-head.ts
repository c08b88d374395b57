import type { LinearParameters } from '../engine/parameters.ts';
import { linearBackward, linearForward, linearGradients } from './linear.ts';
import { type Batch, eachTask, type Thread } from './pass.ts';

// S sequences, T rows, H hidden: first[S][H] the rows of [CLS], pooled = tanh(first W + b) where the model has a pooler,
// logit[S] = pooled . w + b.

/** The head of a cross-encoder. */
export interface PairHeadParameters {
  /** [H][H]; absent: the classifier takes the first rows. */
  readonly pooler: LinearParameters | undefined;
  /** [1][H] */
  readonly classifier: LinearParameters;
}

/** What the forward step keeps: f32[S][H] twice, and its result f32[S]. */
export interface PairHeadActivations {
  readonly first: number;
  readonly pooled: number;
  readonly logits: number;
}

/** @param x [T][H], the body's last states */
export function pairHeadForward(
  thread: Thread,
  { pooler, classifier }: PairHeadParameters,
  kept: PairHeadActivations,
  { starts, sequences: rows }: Batch,
  x: number,
): void {
  const { arena } = thread.kernels;
  const H = classifier.weight.columns;
  thread.team.once(() => {
    for (let s = 0; s < rows; s++) {
      const row = arena.i32[starts / 4 + s]!;
      arena.floats(kept.first + 4 * s * H, H).set(arena.floats(x + 4 * row * H, H));
    }
    if (pooler) {
      linearForward(thread, pooler, { x: kept.first, rows, out: kept.pooled });
      const values = arena.floats(kept.pooled, rows * H);
      for (let i = 0; i < values.length; i++) values[i] = Math.tanh(values[i]!);
    }
    linearForward(thread, classifier, { x: pooler ? kept.pooled : kept.first, rows, out: kept.logits });
  });
}

/**
 * Adds the gradients of the head.
 *
 * @param call.dLogits [S]
 * @param call.dx [T][H], overwritten with the gradient of x; absent: nothing below is trained
 * @param call.dPooled,call.dFirst [S][H], overwritten
 */
export function pairHeadBackward(
  thread: Thread,
  { pooler, classifier }: PairHeadParameters,
  kept: PairHeadActivations,
  { starts, sequences: rows, rows: T }: Batch,
  call: {
    readonly dLogits: number;
    readonly dPooled: number;
    readonly dFirst: number;
    readonly dx: number | undefined;
  },
): void {
  const { arena } = thread.kernels;
  const H = classifier.weight.columns;
  const { dLogits, dPooled, dFirst, dx } = call;
  thread.team.once(() => {
    linearBackward(thread, classifier, { dOut: dLogits, rows, dx: pooler ? dPooled : dFirst });
    if (!pooler) return;
    const [gradient, values] = [arena.floats(dPooled, rows * H), arena.floats(kept.pooled, rows * H)];
    for (let i = 0; i < gradient.length; i++) gradient[i]! *= 1 - values[i]! ** 2;
    linearBackward(thread, pooler, { dOut: dPooled, rows, dx: dFirst });
  });
  eachTask(thread, [
    ...linearGradients(classifier, { dOut: dLogits, x: pooler ? kept.pooled : kept.first, rows }),
    ...(pooler ? linearGradients(pooler, { dOut: dPooled, x: kept.first, rows }) : []),
  ]);
  if (dx === undefined) return;
  thread.team.once(() => {
    arena.floats(dx, T * H).fill(0);
    for (let s = 0; s < rows; s++) {
      const row = arena.i32[starts / 4 + s]!;
      arena.floats(dx + 4 * row * H, H).set(arena.floats(dFirst + 4 * s * H, H));
    }
  });
}
