import type { NormParameters } from '../engine/parameters.ts';
import { biasGradient } from './linear.ts';
import type { GradientTask, Thread } from './pass.ts';

/** What LayerNorm keeps for its gradient: normalised rows [T][H], and 1 / deviation of each, [T]. */
export interface NormActivations {
  readonly normal: number;
  readonly inverse: number;
}

/** The same from row `first` on. */
const fromRow = ({ normal, inverse }: NormActivations, first: number, columns: number): NormActivations => ({
  normal: normal + 4 * first * columns,
  inverse: inverse + 4 * first,
});

/** out[T][H] = LayerNorm(x + residual) gamma + beta, rows first .. first + rows - 1. */
export function normForward(
  { kernels }: Thread,
  { gamma, beta }: NormParameters,
  kept: NormActivations,
  call: {
    readonly x: number;
    readonly residual?: number;
    readonly out: number;
    readonly first: number;
    readonly rows: number;
    readonly epsilon: number;
  },
): void {
  const { first, rows, epsilon, x, residual, out } = call;
  const columns = gamma.columns;
  const skipped = 4 * first * columns;
  kernels.training.layerNormForward({
    ...fromRow(kept, first, columns),
    x: x + skipped,
    ...(residual !== undefined && { residual: residual + skipped }),
    out: out + skipped,
    gamma: gamma.offset,
    beta: beta.offset,
    epsilon,
    rows,
    columns,
  });
}

/** dx[T][H], the gradient of x and of residual alike; rows first .. first + rows - 1. */
export function normBackward(
  { kernels }: Thread,
  { gamma }: NormParameters,
  kept: NormActivations,
  call: { readonly dOut: number; readonly dx: number; readonly first: number; readonly rows: number },
): void {
  const columns = gamma.columns;
  const skipped = 4 * call.first * columns;
  kernels.training.layerNormBackward({
    ...fromRow(kept, call.first, columns),
    dOut: call.dOut + skipped,
    dx: call.dx + skipped,
    gamma: gamma.offset,
    rows: call.rows,
    columns,
  });
}

/** dgamma += sum of dOut * normal, dbeta += sum of dOut. */
export const normGradients = (
  { gamma, beta }: NormParameters,
  { normal }: NormActivations,
  call: { readonly dOut: number; readonly rows: number },
): GradientTask[] => [...biasGradient(gamma, { ...call, other: normal }), ...biasGradient(beta, call)];
