import type { InferencePool } from '../encoder/transformer/inference-pool.ts';
import { loadKernels } from '../kernels/index.ts';
import { type BenchReport, report, round } from './report.ts';

// Models beside each other, one thread. They take turns of a few inputs, and times are the best of many turns: other load on the machine can
// only add time, and a short turn is the likelier to escape it.

export interface PassRow {
  readonly model: string;
  readonly instructions: string;
  /** Milliseconds for 100 inputs. */
  readonly bestMs: number;
  /** Time of the first model divided by the own time. */
  readonly ratio: number;
}

/**
 * @param models names or folders, of the pools in their order
 * @param pools each with `threads: 0`; closed at the end
 * @param inputs of one turn
 * @param rounds turns of each model
 */
export async function compareInTurns<Input extends Parameters<InferencePool<unknown>['run']>[0][number]>(
  models: readonly string[],
  pools: readonly InferencePool<unknown>[],
  inputs: readonly Input[],
  rounds: number,
): Promise<BenchReport<PassRow>> {
  const best = pools.map(() => Number.POSITIVE_INFINITY);
  for (let turn = 0; turn < rounds; turn++)
    for (const [i, pool] of pools.entries()) {
      const started = performance.now();
      await pool.run(inputs);
      best[i] = Math.min(best[i]!, ((performance.now() - started) / inputs.length) * 100);
    }
  for (const pool of pools) await pool.close();
  const { instructions } = loadKernels();
  return report(
    models.map((model, i) => ({
      model,
      instructions,
      bestMs: round(best[i]!, 1),
      ratio: round(best[0]! / best[i]!, 2),
    })),
  );
}
