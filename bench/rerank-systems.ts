// The systems of `bench rerank`. Each lives in a process of its own for the whole run and does one turn whenever it is called.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { cosineWith } from '../encoder/dense-vector.ts';
import { asQuery, encoderHead } from '../encoder/encoder-head.ts';
import { openModel } from '../encoder/model.ts';
import { pairOf } from '../encoder/rerank/cross-encoder.ts';
import { openCrossEncoderModel } from '../encoder/rerank/model.ts';
import { pairHead } from '../encoder/rerank/pair-head.ts';
import { InferencePool } from '../encoder/transformer/inference-pool.ts';
import type { DenseVector } from '../encoder/types.ts';
import { loadKernels } from '../kernels/index.ts';
import { answerCalls, childTask, isChild, yieldAsEncodingThreads } from './child.ts';
import type { TextPair } from './rerank-inputs.ts';
import { openOnnxRuntime, openTransformers } from './rerank-peers.ts';
import type { RerankOutcome, RerankTask, Scorer, Ways } from './rerank-task.ts';

export const SELF = fileURLToPath(import.meta.url);

/** From text: query and passage are tokenised in every turn. */
function openWinnow({ path, stage, backend, threads }: RerankTask): Ways {
  const { instructions } = loadKernels(backend);
  if (stage === 'vector') {
    const model = openModel(path);
    const pool = InferencePool.create(encoderHead, model.readWeights(), { backend, threads });
    const score: Scorer = async ([pair]) => {
      const window = model.config.max_position_embeddings;
      const [output] = await pool.run([asQuery(model.tokenizer.encodeWindow(pair!.query, window))], {
        isUrgent: true,
      });
      return output!.vector;
    };
    return new Map([[instructions, score]]);
  }
  const model = openCrossEncoderModel(path);
  const pool = InferencePool.create(pairHead, model.readWeights(), { backend, threads });
  const { tokenizer, config } = model;
  const window = config.max_position_embeddings;
  const score: Scorer = (pairs) =>
    pool.run(
      pairs.map(({ query, passage }) =>
        pairOf(tokenizer.encode(query), Uint16Array.from(tokenizer.encode(passage, window)), window),
      ),
    );
  return new Map([[instructions, score]]);
}

const OPEN = { winnow: openWinnow, onnxruntime: openOnnxRuntime, transformers: openTransformers };

/** Turns by which the ways to run a system are compared, after one to warm up. The best one counts. */
const TRIALS = 2;

async function chooseWay(ways: Ways, pairs: readonly TextPair[]): Promise<[string, Scorer]> {
  if (ways.size === 1) return [...ways][0]!;
  let best: { readonly name: string; readonly score: Scorer; readonly millis: number } | undefined;
  for (const [name, score] of ways) {
    await score(pairs);
    for (let i = 0; i < TRIALS; i++) {
      const { millis } = await clock(() => score(pairs));
      if (best === undefined || millis < best.millis) best = { name, score, millis };
    }
  }
  return [best!.name, best!.score];
}

async function clock<Value>(work: () => Promise<Value>): Promise<{ millis: number; value: Value }> {
  const started = performance.now();
  const value = await work();
  return { millis: performance.now() - started, value };
}

/** Documents whose vectors are compared with a query's: what the vector stage reranks by default. */
const DOCUMENTS = 100;

/** One turn of the vector stage: query after query, each with the cosines that order the documents. */
async function encodeQueries(score: Scorer, pairs: readonly TextPair[]) {
  const [millis, outputs]: number[][] = [[], []];
  for (const pair of pairs) {
    const turn = await clock(async () => {
      const vector = Float32Array.from(await score([pair]));
      const document: DenseVector = { values: new Int8Array(vector.length).fill(1), scale: 1 };
      for (let i = 0; i < DOCUMENTS; i++) cosineWith(vector, document);
      return vector;
    });
    millis!.push(turn.millis);
    outputs!.push(...turn.value);
  }
  return { millis: millis!, outputs: outputs! };
}

async function scorePairs(score: Scorer, pairs: readonly TextPair[]) {
  const { millis, value } = await clock(() => score(pairs));
  return { millis: [millis], outputs: Array.from(value) };
}

if (isChild(SELF)) {
  const task = childTask<RerankTask>();
  const pairs = JSON.parse(readFileSync(task.pairs, 'utf8')) as TextPair[];
  if (task.kind !== 'winnow') yieldAsEncodingThreads();
  const ways = await OPEN[task.kind](task);
  const trial = task.stage === 'vector' ? pairs.slice(0, 1) : pairs;
  const turn = task.stage === 'vector' ? encodeQueries : scorePairs;
  let way: [string, Scorer] | undefined;
  answerCalls(async (): Promise<RerankOutcome> => {
    // In the first turn and not before: then the other systems are at rest.
    way ??= task.isOnce ? [...ways][0]! : await chooseWay(ways, trial);
    const [chosen, score] = way;
    return { ...(await turn(score, pairs)), chosen };
  });
}
