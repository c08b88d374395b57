import { cpus, totalmem } from 'node:os';
import type { EvaluationDataset } from './dataset.ts';
import { readTexts } from './dataset.ts';
import type { SystemResult } from './evaluate.ts';
import { type MetricName, rank, type ScoredDocument } from './metrics.ts';
import { averageMeans, type ResultRow, resultRow } from './result-table.ts';
import { comparePaired, holm, type PairedTest } from './significance.ts';
import type { SystemFactory } from './system.ts';

/** Version of the stored form; {@link readReport} refuses another. */
export const REPORT_VERSION = 1;

/** Everything about an evaluation that is stored, compared with later ones, and shown in the HTML report. */
export interface EvaluationReport {
  readonly version: typeof REPORT_VERSION;
  /** ISO 8601. */
  readonly created: string;
  readonly machine: string;
  /** Commit of the program, where the caller knows it. */
  readonly commit: string | null;
  readonly settings: Readonly<Record<string, string | number | boolean>>;
  readonly rows: readonly ResultRow[];
  /** Means over all data sets of the systems that ran on all of them; empty with one data set. */
  readonly averages: readonly { readonly system: string; readonly means: Readonly<Record<string, number>> }[];
  readonly comparisons: readonly Comparison[];
  readonly queries: readonly QueryDetail[];
}

/** A system against the baseline on one data set; p-values are corrected over all comparisons of that data set. */
export interface Comparison extends PairedTest {
  readonly dataset: string;
  readonly metric: MetricName;
  readonly baseline: string;
  readonly system: string;
  readonly pHolm: number;
}

/** One query with what each system made of it. */
export interface QueryDetail {
  readonly dataset: string;
  readonly id: string;
  readonly text: string;
  /** System -> value of the main measure. */
  readonly values: Readonly<Record<string, number>>;
  /** Why the report shows this query in full; absent for the others, as are the fields below. */
  readonly shownAs?: ShownAs;
  /** The first hits of each system. */
  readonly hits?: Readonly<Record<string, readonly HitDetail[]>>;
  /** Best judged documents that no shown hit covers, for queries shown in full. */
  readonly missed?: readonly { readonly id: string; readonly grade: number; readonly snippet: string }[];
}

/** Last system against the baseline lost or gained here, or every system scored low. */
export type ShownAs = 'loss' | 'gain' | 'unanswered';

export interface HitDetail {
  readonly id: string;
  readonly score: number;
  /** Null where the document is not judged. */
  readonly grade: number | null;
  readonly snippet: string;
  readonly explanation?: string;
}

export interface ReportOptions {
  /** What the others are compared with; default the first system. */
  readonly baseline?: string;
  /** Measure of comparisons and per-query lists; default ndcg@10. */
  readonly metric?: MetricName;
  /** Queries shown in full per data set: the largest gains and losses against the baseline and the worst. 0..100, default 12. */
  readonly detailedQueries?: number;
  readonly commit?: string;
  readonly settings?: Readonly<Record<string, string | number | boolean>>;
  /** Seed of the randomisation test; default 1. */
  readonly seed?: number;
  /**
   * The systems of the results: those that can explain are opened once more for each data set, to explain the hits of the
   * queries shown in full. One at a time, as two systems may share an index.
   */
  readonly factories?: readonly SystemFactory[];
}

const SNIPPET_CHARACTERS = 220;
const HITS_SHOWN = 3;

/** Model, cores and memory of this machine, e.g. `AMD EPYC 7B13, 2 cores, 8 GB, linux x64, Node 20.20.2`. */
export function machineLine(): string {
  const [first] = cpus();
  const memory = Math.round(totalmem() / 1e9);
  const name = first?.model.replace(/\s+/g, ' ').trim() || 'unknown processor';
  return `${name}, ${cpus().length} cores, ${memory} GB, ${process.platform} ${process.arch}, Node ${process.versions.node}`;
}

/** Puts results together: rows, averages, tests against the baseline, and queries with the texts of their documents. */
export async function buildReport(
  results: readonly SystemResult[],
  datasets: readonly EvaluationDataset[],
  options: ReportOptions = {},
): Promise<EvaluationReport> {
  const metric = options.metric ?? 'ndcg@10';
  const baseline = options.baseline ?? results[0]?.system ?? '';
  const comparisons: Comparison[] = [];
  const queries: QueryDetail[] = [];
  for (const dataset of datasets) {
    const own = results.filter((result) => result.dataset === dataset.name);
    comparisons.push(...compareWithBaseline(own, baseline, metric, options.seed));
    queries.push(...(await queryDetails(dataset, own, baseline, metric, options)));
  }
  return {
    version: REPORT_VERSION,
    created: new Date().toISOString(),
    machine: machineLine(),
    commit: options.commit ?? null,
    settings: { metric, baseline, ...options.settings },
    rows: results.map(resultRow),
    averages: [...averageMeans(results)].map(([system, means]) => ({
      system,
      means: Object.fromEntries(means),
    })),
    comparisons,
    queries,
  };
}

/** Every system against the baseline on one data set, corrected by Holm over these comparisons. */
export function compareWithBaseline(
  results: readonly SystemResult[],
  baseline: string,
  metric: MetricName,
  seed = 1,
): Comparison[] {
  const base = results.find(({ system }) => system === baseline)?.perQuery.get(metric);
  if (!base) return [];
  const tests = results
    .filter(({ system }) => system !== baseline)
    .map(({ dataset, system, perQuery }) => ({
      dataset,
      metric,
      baseline,
      system,
      ...comparePaired(base, perQuery.get(metric) ?? new Map(), { seed }),
    }));
  const corrected = holm(tests.map(({ pRandomisation }) => pRandomisation));
  return tests.map((test, i) => ({ ...test, pHolm: corrected[i]! }));
}

async function queryDetails(
  dataset: EvaluationDataset,
  results: readonly SystemResult[],
  baseline: string,
  metric: MetricName,
  options: ReportOptions,
): Promise<QueryDetail[]> {
  const details = dataset.queries.map(({ id, text }): QueryDetail => {
    const values: [string, number][] = results.map(({ system, perQuery }) => [
      system,
      perQuery.get(metric)?.get(id) ?? 0,
    ]);
    return { dataset: dataset.name, id, text, values: Object.fromEntries(values) };
  });
  const shown = pickQueries(details, results, baseline, options.detailedQueries ?? 12);
  const wanted = new Set<string>();
  const tops: Tops = new Map();
  for (const id of shown.keys()) {
    const perSystem = new Map(
      results.map(({ system, run }) => [system, rank(run.get(id) ?? []).slice(0, HITS_SHOWN)] as const),
    );
    tops.set(id, perSystem);
    for (const hits of perSystem.values()) for (const hit of hits) wanted.add(hit.id);
    for (const document of bestJudged(dataset, id)) wanted.add(document.id);
  }
  const texts = await readTexts(dataset.corpusPath, wanted);
  const snippet = (id: string) => {
    const found = texts.get(id);
    if (!found) return '(not in the corpus)';
    const whole = [found.title.replace(/[.\s]+$/, ''), found.text]
      .filter((part) => part !== '')
      .join('. ')
      .replace(/\s+/g, ' ');
    return whole.length <= SNIPPET_CHARACTERS
      ? whole
      : `${whole.slice(0, SNIPPET_CHARACTERS).replace(/\s\S*$/, '')} ...`;
  };
  const explanations = await explainHits(dataset, tops, details, options.factories ?? []);
  const filled: QueryDetail[] = [];
  for (const detail of details) {
    const perSystem = tops.get(detail.id);
    if (!perSystem) {
      filled.push(detail);
      continue;
    }
    const judged = dataset.qrels.get(detail.id)!;
    const hits: Record<string, HitDetail[]> = {};
    const covered = new Set<string>();
    for (const [system, top] of perSystem) {
      hits[system] = [];
      for (const { id, score } of top) {
        covered.add(id);
        const explanation = explanations.get(explanationKey(system, detail.id, id));
        hits[system].push({
          id,
          score,
          grade: judged.get(id) ?? null,
          snippet: snippet(id),
          ...(explanation === undefined ? {} : { explanation }),
        });
      }
    }
    const missed = bestJudged(dataset, detail.id)
      .filter(({ id }) => !covered.has(id))
      .map(({ id, grade }) => ({ id, grade, snippet: snippet(id) }));
    filled.push({ ...detail, shownAs: shown.get(detail.id)!, hits, missed });
  }
  return filled;
}

/** Query id -> system -> its first hits. */
type Tops = Map<string, Map<string, readonly ScoredDocument[]>>;

function explanationKey(system: string, queryId: string, documentId: string): string {
  return JSON.stringify([system, queryId, documentId]);
}

/** What the systems say about their first hits. */
async function explainHits(
  dataset: EvaluationDataset,
  tops: Tops,
  queries: readonly QueryDetail[],
  factories: readonly SystemFactory[],
): Promise<Map<string, string>> {
  const texts = new Map(queries.map(({ id, text }) => [id, text]));
  const explanations = new Map<string, string>();
  if (tops.size === 0) return explanations;
  for (const factory of factories) {
    const system = await factory.open(dataset);
    try {
      if (!system.explain) continue;
      for (const [queryId, perSystem] of tops)
        for (const { id } of perSystem.get(system.name) ?? []) {
          const said = await system.explain({ id: queryId, text: texts.get(queryId) ?? '' }, id);
          if (said !== undefined) explanations.set(explanationKey(system.name, queryId, id), said);
        }
    } finally {
      await system.close?.();
    }
  }
  return explanations;
}

/** The two best judged documents of a query. */
function bestJudged(dataset: EvaluationDataset, queryId: string): { id: string; grade: number }[] {
  return [...(dataset.qrels.get(queryId) ?? [])]
    .map(([id, grade]) => ({ id, grade }))
    .filter(({ grade }) => grade > 0)
    .sort((a, b) => b.grade - a.grade || (a.id < b.id ? -1 : 1))
    .slice(0, 2);
}

/**
 * A third each: the largest losses and gains of the last system against the baseline, and queries that every system answers
 * badly; with one system only the latter.
 */
function pickQueries(
  details: readonly QueryDetail[],
  results: readonly SystemResult[],
  baseline: string,
  count: number,
): Map<string, ShownAs> {
  const other = results.map(({ system }) => system).findLast((system) => system !== baseline);
  const part = Math.ceil(count / (other === undefined ? 1 : 3));
  const picked = new Map<string, ShownAs>();
  const take = (reason: ShownAs, candidates: readonly QueryDetail[]) => {
    for (const { id } of candidates.filter((candidate) => !picked.has(candidate.id)).slice(0, part))
      if (picked.size < count) picked.set(id, reason);
  };
  if (other !== undefined) {
    const delta = ({ values }: QueryDetail) => (values[other] ?? 0) - (values[baseline] ?? 0);
    const byDelta = [...details].sort((a, b) => delta(a) - delta(b));
    take(
      'loss',
      byDelta.filter((detail) => delta(detail) < 0),
    );
    take('gain', byDelta.filter((detail) => delta(detail) > 0).reverse());
  }
  const best = ({ values }: QueryDetail) => Math.max(0, ...Object.values(values));
  take(
    'unanswered',
    [...details].sort((a, b) => best(a) - best(b)),
  );
  return picked;
}
