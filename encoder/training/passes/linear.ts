import { rowMajor, transposed } from '../../../kernels/index.ts';
import type { LinearParameters, Parameter } from '../engine/parameters.ts';
import type { GradientTask, Thread } from './pass.ts';

/** Rows of a weight gradient that one task computes. */
const TASK_ROWS = 192;

/** out[T][N] = x[T][K] W^T + b, for W [N][K]. */
export function linearForward(
  { kernels, scratch }: Thread,
  { weight, bias }: LinearParameters,
  { x, rows, out }: { readonly x: number; readonly rows: number; readonly out: number },
): void {
  kernels.training.gemm({
    a: rowMajor(x, weight.columns),
    b: transposed(rowMajor(weight.offset, weight.columns)),
    bias: bias.offset,
    c: out,
    cRow: weight.rows,
    rows,
    columns: weight.rows,
    depth: weight.columns,
    scratch,
  });
}

/** dx[T][K] = dOut[T][N] W, or += with `accumulate`. */
export function linearBackward(
  { kernels, scratch }: Thread,
  { weight }: LinearParameters,
  call: { readonly dOut: number; readonly rows: number; readonly dx: number; readonly accumulate?: boolean },
): void {
  kernels.training.gemm({
    a: rowMajor(call.dOut, weight.rows),
    b: rowMajor(weight.offset, weight.columns),
    c: call.dx,
    cRow: weight.columns,
    rows: call.rows,
    columns: weight.columns,
    depth: weight.rows,
    accumulate: call.accumulate ?? false,
    scratch,
  });
}

/** dW[N][K] += dOut^T x and db[N] += the sum of dOut's rows, of the parts that are trained. */
export function linearGradients(
  { weight, bias }: LinearParameters,
  { dOut, x, rows }: { readonly dOut: number; readonly x: number; readonly rows: number },
): GradientTask[] {
  const tasks = biasGradient(bias, { dOut, rows });
  const { trained, columns: K, rows: N } = weight;
  if (!trained) return tasks;
  for (let first = 0; first < trained.rows; first += TASK_ROWS)
    tasks.push(({ kernels, scratch }) => {
      kernels.training.gemm({
        a: transposed(rowMajor(dOut + 4 * (trained.firstRow + first), N)),
        b: rowMajor(x + 4 * trained.firstColumn, K),
        c: trained.gradient + 4 * first * trained.columns,
        cRow: trained.columns,
        rows: Math.min(TASK_ROWS, trained.rows - first),
        columns: trained.columns,
        depth: rows,
        accumulate: true,
        scratch,
      });
    });
  return tasks;
}

/** Of a vector that is added to, or with `other` multiplied with, every row: its gradient is a sum over rows. */
export function biasGradient(
  { trained, columns }: Parameter,
  { dOut, rows, other }: { readonly dOut: number; readonly rows: number; readonly other?: number },
): GradientTask[] {
  if (!trained) return [];
  const skipped = 4 * trained.firstColumn;
  return [
    ({ kernels }) =>
      kernels.training.columnSums({
        x: dOut + skipped,
        ...(other !== undefined && { other: other + skipped }),
        out: trained.gradient,
        rows,
        columns: trained.columns,
        stride: columns,
      }),
  ];
}
