import { openModel } from '../encoder/model.ts';
import { sparseHead } from '../encoder/sparse-head.ts';
import { InferencePool } from '../encoder/transformer/inference-pool.ts';
import type { BenchReport } from './report.ts';
import { readTexts } from './texts.ts';
import { compareInTurns, type PassRow } from './turns.ts';

// What the patterns of a document encoder's own weights are worth in the whole pass, body and head.

export interface TextPassOptions {
  /** JSONL of documents with `title` and `text`; every `step`-th is used. */
  readonly corpus: string;
  /** Bundled encoders or folders; the first is the one that others are compared with. */
  readonly models: readonly string[];
  /** Documents of a turn; default 2. */
  readonly documents?: number | undefined;
  /** Tokens of a document, at most; default all that the model reads. */
  readonly tokens?: number | undefined;
  /** Turns of each model; default 200. */
  readonly rounds?: number | undefined;
  /** Without the screens of the heads: the product with the whole vocabulary. */
  readonly exact?: boolean | undefined;
}

export async function run(options: TextPassOptions): Promise<BenchReport<PassRow>> {
  const { corpus, models, documents = 2, rounds = 200, exact = false } = options;
  const opened = models.map((model) => openModel(model));
  const [{ tokenizer, config }] = opened as [(typeof opened)[number]];
  const window = Math.min(options.tokens ?? config.max_position_embeddings, config.max_position_embeddings);
  const inputs = readTexts(corpus, documents).map((text) => ({ ids: tokenizer.encodeWindow(text, window) }));
  const pools = opened.map((model) =>
    InferencePool.create(sparseHead, model.readWeights({ screen: !exact }), { threads: 0 }),
  );
  return compareInTurns(models, pools, inputs, rounds);
}
