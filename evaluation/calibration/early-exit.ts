import { createCrossEncoder, type TwoSteps } from '../../encoder/rerank/cross-encoder.ts';
import { classifierTensors } from '../../encoder/rerank/early-exit.ts';
import { type EarlyClassifier, fitEarlyClassifier } from '../../encoder/rerank/fit-early-exit.ts';
import { type CrossEncoderModel, withEarlyExit } from '../../encoder/rerank/model.ts';
import { parseStoredId } from '../../indexer/format/stored-id.ts';
import type { EmbeddedBackend } from '../../query/embedded/embedded-backend.ts';
import { bestOf } from '../../query/rerank/cross-stage.ts';
import type { EvaluationDataset } from '../dataset.ts';
import { idealGrades, ndcgOf } from '../metrics.ts';
import { mean } from './mixes.ts';
import { evenly, withoutOwn } from './stage-scores.ts';

/** A document of the first ranking as the reranker sees it. */
export interface ExitPair {
  readonly grade: number;
  readonly retrieval: number;
  /** f32[H]: [CLS] after the early layers. */
  readonly early: Float32Array;
  /** Of the whole model. */
  readonly logit: number;
}

/** One query's documents in the order of the first ranking, and its positive grades, descending. */
export interface ExitQuery {
  readonly documents: readonly ExitPair[];
  readonly ideal: readonly number[];
}

export interface ExitSet {
  readonly name: string;
  readonly queries: readonly ExitQuery[];
}

/** What an early exit does at one share, on queries that its classifier was not fitted to. */
export interface ExitRow {
  /** Share of the documents that go through all layers. */
  readonly keep: number;
  /** Work of a pass beside that of all documents through all layers: layers times documents. */
  readonly work: number;
  /** Mean nDCG@10 over the data sets, and of each. */
  readonly mean: number;
  readonly ndcg: readonly number[];
}

export interface FittedExit {
  /** Fitted to all queries. */
  readonly classifier: EarlyClassifier;
  /** Correlation of estimates and logits over the queries of {@link rows}. */
  readonly correlation: number;
  readonly rows: readonly ExitRow[];
}

const SHARES = [1, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2];
const K = 10;

/** A cross-encoder that stops after some layers, with an estimate of 0 for every pair. */
export interface ExitProbe {
  readonly early: TwoSteps;
  readonly hiddenSize: number;
  close(): Promise<void>;
}

/** @param layers 1 to one less than the model has @throws as {@link createCrossEncoder} */
export function stoppingAfter(
  model: CrossEncoderModel,
  layers: number,
  options: Parameters<typeof createCrossEncoder>[1],
): ExitProbe {
  const { hidden_size: hiddenSize } = model.config;
  const zero = { weights: new Float32Array(hiddenSize), bias: 0 };
  const file = { settings: { layers, keep: 1 }, tensors: classifierTensors(zero) };
  const encoder = createCrossEncoder(withEarlyExit(model, file), options);
  return { early: encoder.early!, hiddenSize, close: () => encoder.close() };
}

/**
 * Reads the best documents of a data set's queries, by the early layers and by all.
 *
 * @param queries at most this many, evenly spaced
 * @param depth documents per query
 */
export async function readPairs(
  dataset: EvaluationDataset,
  index: EmbeddedBackend,
  { early, hiddenSize }: ExitProbe,
  { queries, depth }: { readonly queries: number; readonly depth: number },
  onQuery: (done: number, total: number) => void,
): Promise<ExitSet> {
  const chosen = evenly(dataset.queries, queries);
  const read: ExitQuery[] = [];
  for (const { id, text } of chosen) {
    const grades = dataset.qrels.get(id)!;
    const kept = await withoutOwn(dataset, id, index.rank(text, 'sparse', depth));
    const passages = kept.map((hit) => {
      const { title, text } = index.get(parseStoredId(hit.id))!;
      // Data sets number their documents alike.
      return { key: `${dataset.corpusPath} ${hit.id}`, title, text };
    });
    const paused = await early.estimate(text, passages);
    const logits = await early.finish(paused);
    const documents = kept.map(
      ({ id, score }, i): ExitPair => ({
        grade: Math.max(0, grades.get(id) ?? 0),
        retrieval: score,
        // A copy: the rows of a batch share one array, which is large.
        early: paused[i]!.rows.slice(0, hiddenSize),
        logit: logits[i]!,
      }),
    );
    read.push({ documents, ideal: idealGrades(grades) });
    onQuery(read.length, chosen.length);
  }
  return { name: dataset.name, queries: read };
}

/**
 * Fits an early exit, and measures what every share of documents that go on is worth.
 *
 * @param mix share of the reranker's scores
 * @param depth share of the layers that lie before the exit
 */
export function fitEarlyExit(
  sets: readonly ExitSet[],
  { mix, depth }: { readonly mix: number; readonly depth: number },
): FittedExit {
  const half = (of: number) =>
    sets.map(({ name, queries }) => ({ name, queries: queries.filter((_, i) => i % 2 === of) }));
  const classifier = classifierOf(half(0));
  const heldOut = half(1);
  const rows = SHARES.map((keep): ExitRow => {
    const ndcg = heldOut.map(({ queries }) =>
      mean(queries.map((query) => ndcgOfExit(query, classifier, { mix, keep }))),
    );
    return { keep, work: depth + (1 - depth) * keep, mean: mean(ndcg), ndcg };
  });
  const pairs = heldOut.flatMap(({ queries }) => queries.flatMap(({ documents }) => documents));
  return {
    classifier: classifierOf(sets),
    correlation: correlation(
      pairs.map(({ early }) => estimateOf(classifier, early)),
      pairs.map(({ logit }) => logit),
    ),
    rows,
  };
}

function classifierOf(sets: readonly ExitSet[]): EarlyClassifier {
  const pairs = sets.flatMap(({ queries }) => queries.flatMap(({ documents }) => documents));
  return fitEarlyClassifier(
    pairs.map(({ early }) => early),
    pairs.map(({ logit }) => logit),
  );
}

/** nDCG@10 of a query whose documents leave early but for the best, ordered as a search orders them. */
function ndcgOfExit(
  { documents, ideal }: ExitQuery,
  classifier: EarlyClassifier,
  choice: { readonly mix: number; readonly keep: number },
): number {
  const scores = documents.map(({ early }) => estimateOf(classifier, early));
  const ranking = documents.map(({ retrieval }) => ({ score: retrieval }));
  for (const at of bestOf(ranking, scores, choice)) scores[at] = documents[at]!.logit;
  const order = bestOf(ranking, scores, { ...choice, keep: 1 });
  return ndcgOf(
    order.map((at) => documents[at]!.grade),
    ideal,
    K,
  );
}

const estimateOf = ({ weights, bias }: EarlyClassifier, row: Float32Array): number =>
  weights.reduce((sum, weight, k) => sum + weight * row[k]!, bias);

function correlation(a: readonly number[], b: readonly number[]): number {
  const [meanA, meanB] = [mean(a), mean(b)];
  let [ab, aa, bb] = [0, 0, 0];
  a.forEach((value, i) => {
    ab += (value - meanA) * (b[i]! - meanB);
    aa += (value - meanA) ** 2;
    bb += (b[i]! - meanB) ** 2;
  });
  return ab / Math.sqrt(Math.max(aa * bb, 1e-30));
}
