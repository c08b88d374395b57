import { openCrossEncoderModel } from '../encoder/rerank/model.ts';
import { pairHead } from '../encoder/rerank/pair-head.ts';
import { InferencePool } from '../encoder/transformer/inference-pool.ts';
import type { BenchReport } from './report.ts';
import { readPairs } from './rerank-inputs.ts';
import { compareInTurns, type PassRow } from './turns.ts';

// What the patterns of a cross-encoder's own weights are worth in the whole pass.

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

export async function run(options: PairPassOptions): Promise<BenchReport<PassRow>> {
  const { corpus, models, pairs: count = 4, tokens = 128, rounds = 200 } = options;
  const opened = models.map((model) => openCrossEncoderModel(model));
  const pairs = await readPairs(corpus, opened[0]!.tokenizer, count, tokens);
  const pools = opened.map((model) => InferencePool.create(pairHead, model.readWeights(), { threads: 0 }));
  return compareInTurns(models, pools, pairs, rounds);
}
