import type { Qrels } from '../corpus/beir.ts';

/** A retrieved document; the order inside a run does not matter, see {@link rank}. */
export interface ScoredDocument {
  readonly id: string;
  readonly score: number;
}

/** Query id -> what a system retrieved for it. */
export type Run = ReadonlyMap<string, readonly ScoredDocument[]>;

/** trec_eval's measures by the names that Winnow prints. `judged@k` is the share of the top k that has a judgement. */
export type MetricName = `${'ndcg' | 'recall' | 'mrr' | 'p' | 'judged'}@${number}` | 'map' | 'mrr';

export interface MetricOptions {
  /**
   * Average over all judged queries, counting one without results as 0 (trec_eval -c). Without it, queries that the run
   * lacks are left out of the average. Default true: a system must not gain by returning nothing.
   */
  readonly complete?: boolean;
}

export interface MetricResult {
  /** Arithmetic mean over the queries that count, 0 when there are none. */
  readonly mean: number;
  /** Query id -> value, for the queries that count. */
  readonly perQuery: ReadonlyMap<string, number>;
}

/**
 * Compares ids as trec_eval's strcmp does: by UTF-8 bytes. UTF-16 order differs only between surrogates and U+E000..U+FFFF,
 * so plain ids take the quick way.
 */
function compareBytes(a: string, b: string): number {
  if (a === b) return 0;
  if (/[\ud800-\uffff]/.test(a) || /[\ud800-\uffff]/.test(b))
    return Buffer.compare(Buffer.from(a), Buffer.from(b));
  return a < b ? -1 : 1;
}

/**
 * trec_eval's ranking: by descending score as a 32-bit float (its `sim` is a C float), ties by DESCENDING document id. The
 * rank column of a run is ignored. (trec_eval 9, form_res_rels.c, comp_sim_docno.)
 */
export function rank(documents: readonly ScoredDocument[]): ScoredDocument[] {
  return documents
    .map((document) => ({ document, score: Math.fround(document.score) }))
    .sort((a, b) => b.score - a.score || compareBytes(b.document.id, a.document.id))
    .map(({ document }) => document);
}

/** What every measure is computed from: the grades of one query in rank order, and the ideal order. */
interface Ranking {
  /** Grade of the document at each rank; undefined where it is not judged. */
  readonly grades: readonly (number | undefined)[];
  /** Positive grades of the query, descending. */
  readonly ideal: readonly number[];
}

// m_ndcg_cut.c: gain = grade (negative counts 0), discount log2(rank + 1) with rank from 1.
function dcg(grades: readonly (number | undefined)[], k: number): number {
  let sum = 0;
  const end = Math.min(k, grades.length);
  for (let i = 0; i < end; i++) {
    const gain = grades[i];
    if (gain !== undefined && gain > 0) sum += gain / Math.log2(i + 2);
  }
  return sum;
}

/**
 * nDCG@k of one query.
 *
 * @param grades in rank order; undefined where a document is not judged
 * @param ideal positive grades of all judged documents, descending
 */
export const ndcgOf = (
  grades: readonly (number | undefined)[],
  ideal: readonly number[],
  k: number,
): number => (ideal.length === 0 ? 0 : dcg(grades, k) / dcg(ideal, k));

function countRelevant(grades: readonly (number | undefined)[], k: number): number {
  let count = 0;
  const end = Math.min(k, grades.length);
  for (let i = 0; i < end; i++) if ((grades[i] ?? 0) > 0) count++;
  return count;
}

function reciprocalRank(grades: readonly (number | undefined)[], k: number): number {
  const end = Math.min(k, grades.length);
  for (let i = 0; i < end; i++) if ((grades[i] ?? 0) > 0) return 1 / (i + 1);
  return 0;
}

function averagePrecision({ grades, ideal }: Ranking): number {
  let found = 0;
  let sum = 0;
  for (let i = 0; i < grades.length; i++)
    if ((grades[i] ?? 0) > 0) {
      found++;
      sum += found / (i + 1);
    }
  return ideal.length === 0 ? 0 : sum / ideal.length;
}

type Measure = (ranking: Ranking) => number;

/** The function of a measure. @throws RangeError for a name that is no measure or a k outside 1..1,000,000 */
function measure(name: MetricName): Measure {
  const [kind, cut] = name.split('@') as [string, string | undefined];
  const k = cut === undefined ? Number.MAX_SAFE_INTEGER : Number(cut);
  if (cut !== undefined && !(Number.isInteger(k) && k >= 1 && k <= 1_000_000))
    throw new RangeError(`"${name}": the cut must be an integer in 1..1000000`);
  const needsCut = () => {
    if (cut === undefined) throw new RangeError(`"${name}" needs a cut, for example ${kind}@10`);
  };
  switch (kind) {
    case 'map':
      if (cut !== undefined) break;
      return averagePrecision;
    case 'mrr':
      return ({ grades }) => reciprocalRank(grades, k);
    case 'ndcg':
      needsCut();
      return ({ grades, ideal }) => ndcgOf(grades, ideal, k);
    case 'recall':
      needsCut();
      return ({ grades, ideal }) => (ideal.length === 0 ? 0 : countRelevant(grades, k) / ideal.length);
    case 'p':
      needsCut();
      return ({ grades }) => countRelevant(grades, k) / k;
    case 'judged':
      needsCut();
      return ({ grades }) => {
        const top = grades.slice(0, k);
        return top.length === 0 ? 0 : top.filter((grade) => grade !== undefined).length / top.length;
      };
  }
  throw new RangeError(`"${name}" is no measure: use ndcg@k, recall@k, mrr, mrr@k, map, p@k or judged@k`);
}

/** Whether a name is a measure that {@link evaluateRun} knows. */
export function isMetricName(name: string): name is MetricName {
  try {
    measure(name as MetricName);
    return true;
  } catch {
    return false;
  }
}

/**
 * Scores a run exactly as trec_eval (through pytrec_eval) does. Judged queries without a relevant document count 0;
 * queries of the run without judgements are ignored; a document retrieved twice for a query counts once, where it scored
 * best. nDCG uses the grade itself as gain; relevance for the other measures is a grade above 0.
 *
 * `judged@k` divides by the number of documents retrieved up to k, as ir-measures does in runs shorter than k.
 *
 * @throws RangeError for an unknown measure
 */
export function evaluateRun(
  run: Run,
  qrels: Qrels,
  metrics: readonly MetricName[],
  { complete = true }: MetricOptions = {},
): Map<MetricName, MetricResult> {
  const measures = metrics.map((name) => [name, measure(name), new Map<string, number>()] as const);
  for (const [queryId, judged] of qrels) {
    const found = run.get(queryId);
    if (found === undefined && !complete) continue;
    const ranking = gradesOf(found ?? [], judged);
    for (const [, compute, values] of measures) values.set(queryId, compute(ranking));
  }
  return new Map(
    measures.map(([name, , perQuery]) => {
      let sum = 0;
      for (const value of perQuery.values()) sum += value;
      return [name, { mean: perQuery.size === 0 ? 0 : sum / perQuery.size, perQuery }];
    }),
  );
}

function gradesOf(found: readonly ScoredDocument[], judged: ReadonlyMap<string, number>): Ranking {
  const seen = new Set<string>();
  const grades: (number | undefined)[] = [];
  for (const { id } of rank(found)) {
    if (seen.has(id)) continue;
    seen.add(id);
    grades.push(judged.get(id));
  }
  return { grades, ideal: idealGrades(judged) };
}

/** Positive grades, descending: the best order that there could be. */
export const idealGrades = (judged: ReadonlyMap<string, number>): number[] =>
  [...judged.values()].filter((grade) => grade > 0).sort((a, b) => b - a);
