import { openCrossEncoderModel } from '../encoder/rerank/model.ts';
import { pairHead } from '../encoder/rerank/pair-head.ts';
import { InferencePool } from '../encoder/transformer/inference-pool.ts';
import { loadKernels } from '../kernels/index.ts';
import { type BenchReport, report, round } from './report.ts';
import { readPairs } from './rerank-inputs.ts';

// Cross-encoders beside each other, one thread: what the patterns of their own weights are worth in the whole pass. Models take turns of a
// few pairs, and times are the best of many turns: other load on the machine can only add time, and a short turn is the likelier to escape it.

export interface PairPassOptions {
  /** Evaluation set in BEIR's form: its queries and judged documents are the pairs. */
  readonly corpus: string;
  /** Bundled cross-encoders or folders; the first is the one that others are compared with. */
  readonly models: readonly string[];
  /** Pairs of a turn; default 4. */
  readonly pairs?: number | undefined;
  /** Tokens of a pair, at most; default 128. */
  readonly tokens?: number | undefined;
  /** Turns of each model; default 200. */
  readonly rounds?: number | undefined;
}

export interface PairPassRow {
  readonly model: string;
  readonly instructions: string;
  /** Milliseconds for 100 pairs. */
  readonly bestMs: number;
  /** Time of the first model divided by the own time. */
  readonly ratio: number;
}

export async function run(options: PairPassOptions): Promise<BenchReport<PairPassRow>> {
  const { corpus, models, pairs: count = 4, tokens = 128, rounds = 200 } = options;
  const opened = models.map((model) => openCrossEncoderModel(model));
  const pairs = await readPairs(corpus, opened[0]!.tokenizer, count, tokens);
  const pools = opened.map((model) => InferencePool.create(pairHead, model.readWeights(), { threads: 0 }));
  const best = pools.map(() => Number.POSITIVE_INFINITY);
  for (let turn = 0; turn < rounds; turn++)
    for (const [i, pool] of pools.entries()) {
      const started = performance.now();
      await pool.run(pairs);
      best[i] = Math.min(best[i]!, ((performance.now() - started) / pairs.length) * 100);
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
