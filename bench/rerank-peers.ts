// The peers of `bench rerank`.
import { readFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { loadOnnxRuntime, type OnnxSession } from './onnxruntime.ts';
import type { TextPair } from './rerank-inputs.ts';
import type { RerankTask, Scorer, Ways } from './rerank-task.ts';

const BATCHES = [8, 16] as const;

/**
 * From token ids, which spares the peer the tokenizer. One session whose operators use all threads, or as many runs at a
 * time on operators of one thread.
 */
export async function openOnnxRuntime({ path, stage, threads, isOnce }: RerankTask): Promise<Ways> {
  const { InferenceSession } = loadOnnxRuntime();
  const file = readFileSync(path);
  const open = (intraOpNumThreads: number) =>
    InferenceSession.create(file, {
      intraOpNumThreads,
      interOpNumThreads: 1,
      graphOptimizationLevel: 'all',
      executionMode: 'sequential',
    });
  const wide = await open(threads);
  if (stage === 'vector') return new Map([['one query', ([pair]) => runBatch(wide, [queryOf(pair!)])]]);
  const ways = new Map<string, Scorer>();
  for (const size of BATCHES)
    ways.set(`batches of ${size}`, (pairs) => inBatches(pairs, size, 1, (batch) => runBatch(wide, batch)));
  if (threads === 1 || isOnce) return ways;
  const narrow = await open(1);
  for (const size of BATCHES)
    ways.set(`${threads} batches of ${size} at a time`, (pairs) =>
      inBatches(pairs, size, threads, (batch) => runBatch(narrow, batch)),
    );
  return ways;
}

type Tokens = Pick<TextPair, 'ids' | 'typeIds'>;

/** A query alone, as the vector stage reads it: token type 1. */
const queryOf = ({ queryIds }: TextPair): Tokens => ({ ids: queryIds, typeIds: queryIds.map(() => 1) });

async function runBatch(session: OnnxSession, batch: readonly Tokens[]): Promise<Float32Array> {
  const { Tensor } = loadOnnxRuntime();
  const width = Math.max(...batch.map(({ ids }) => ids.length));
  const feed = (rowOf: (tokens: Tokens) => readonly number[]) => {
    const values = new BigInt64Array(batch.length * width);
    batch.forEach((tokens, r) => {
      rowOf(tokens).forEach((value, t) => {
        values[r * width + t] = BigInt(value);
      });
    });
    return new Tensor('int64', values, [batch.length, width]);
  };
  const outputs = await session.run({
    input_ids: feed(({ ids }) => ids),
    attention_mask: feed(({ ids }) => ids.map(() => 1)),
    token_type_ids: feed(({ typeIds }) => typeIds),
  });
  return Object.values(outputs)[0]!.data;
}

/** From text, as @huggingface/transformers is used. */
export async function openTransformers({ path, stage, threads }: RerankTask): Promise<Ways> {
  const { AutoModel, AutoModelForSequenceClassification, AutoTokenizer, Tensor, env } = await import(
    '@huggingface/transformers'
  );
  env.localModelPath = dirname(path);
  const tokenizer = await AutoTokenizer.from_pretrained(basename(path), { local_files_only: true });
  const loader = stage === 'vector' ? AutoModel : AutoModelForSequenceClassification;
  const model = await loader.from_pretrained(basename(path), {
    local_files_only: true,
    dtype: 'q8',
    device: 'cpu',
    session_options: { intraOpNumThreads: threads, interOpNumThreads: 1 },
  });
  if (stage === 'vector') {
    const score: Scorer = async ([pair]) => {
      const inputs = tokenizer([pair!.query], { truncation: true });
      const types = new BigInt64Array(inputs.input_ids.size).fill(1n);
      const token_type_ids = new Tensor('int64', types, inputs.input_ids.dims);
      const { vector } = await model({ ...inputs, token_type_ids });
      return (vector.data as Float32Array).slice();
    };
    return new Map([['one query', score]]);
  }
  const scoreBatch = async (batch: readonly TextPair[]) => {
    const inputs = tokenizer(
      batch.map(({ query }) => query),
      { text_pair: batch.map(({ passage }) => passage), padding: true, truncation: true },
    );
    const { logits } = await model(inputs);
    return (logits.data as Float32Array).slice();
  };
  return new Map(
    BATCHES.map((size): [string, Scorer] => [
      `batches of ${size}`,
      (pairs) => inBatches(pairs, size, 1, scoreBatch),
    ]),
  );
}

/** Batches of pairs of like length, `lanes` of them at a time. @returns logits in the order of the pairs */
async function inBatches(
  pairs: readonly TextPair[],
  size: number,
  lanes: number,
  score: (batch: readonly TextPair[]) => Promise<ArrayLike<number>>,
): Promise<Float32Array> {
  const order = pairs.map((_, index) => index).sort((a, b) => pairs[b]!.ids.length - pairs[a]!.ids.length);
  const logits = new Float32Array(pairs.length);
  const lane = async () => {
    while (order.length > 0) {
      const batch = order.splice(0, size);
      const found = await score(batch.map((index) => pairs[index]!));
      batch.forEach((index, at) => {
        logits[index] = found[at]!;
      });
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return logits;
}
