import { cpus, totalmem } from 'node:os';
import type { EvaluationDataset } from './dataset.ts';
import { readTexts } from './dataset.ts';
import type { SystemResult } from './evaluate.ts';
import { type MetricName, rank } from './metrics.ts';
import { averageMeans, type ResultRow, resultRow } from './result-table.ts';
import { comparePaired, holm, type PairedTest } from './significance.ts';
import type { EvaluatedSystem } from './system.ts';

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
  /** Means over the data sets that all systems ran on; empty with one data set. */
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
  /** Present for the queries that the report shows in full. */
  readonly hits?: Readonly<Record<string, readonly HitDetail[]>>;
  /** Best judged documents that no shown hit covers, for queries shown in full. */
  readonly missed?: readonly { readonly id: string; readonly grade: number; readonly snippet: string }[];
}

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
  /** Open systems by data set and name, to explain hits of the queries shown in full. */
  readonly explainers?: ReadonlyMap<string, EvaluatedSystem>;
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
  const tops = new Map<string, Map<string, ReturnType<typeof rank>>>();
  for (const id of shown) {
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
    const whole = [found.title, found.text]
      .filter((part) => part !== '')
      .join('. ')
      .replace(/\s+/g, ' ');
    return whole.length <= SNIPPET_CHARACTERS
      ? whole
      : `${whole.slice(0, SNIPPET_CHARACTERS).replace(/\s\S*$/, '')} ...`;
  };
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
      const explainer = options.explainers?.get(`${dataset.name}/${system}`);
      hits[system] = [];
      for (const { id, score } of top) {
        covered.add(id);
        const explanation = await explainer?.explain?.({ id: detail.id, text: detail.text }, id);
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
    filled.push({ ...detail, hits, missed });
  }
  return filled;
}

/** The two best judged documents of a query. */
function bestJudged(dataset: EvaluationDataset, queryId: string): { id: string; grade: number }[] {
  return [...(dataset.qrels.get(queryId) ?? [])]
    .map(([id, grade]) => ({ id, grade }))
    .filter(({ grade }) => grade > 0)
    .sort((a, b) => b.grade - a.grade || (a.id < b.id ? -1 : 1))
    .slice(0, 2);
}

/** A third each: largest losses and gains of the last system against the baseline, and queries that all systems miss. */
function pickQueries(
  details: readonly QueryDetail[],
  results: readonly SystemResult[],
  baseline: string,
  count: number,
): Set<string> {
  const other = results.map(({ system }) => system).findLast((system) => system !== baseline);
  const picked = new Set<string>();
  const take = (sorted: readonly QueryDetail[], most: number) => {
    for (const { id } of sorted.slice(0, most)) picked.add(id);
  };
  const part = Math.ceil(count / (other === undefined ? 1 : 3));
  if (other !== undefined) {
    const delta = ({ values }: QueryDetail) => (values[other] ?? 0) - (values[baseline] ?? 0);
    const byDelta = details.filter((detail) => delta(detail) !== 0).sort((a, b) => delta(a) - delta(b));
    take(
      byDelta.filter((detail) => delta(detail) < 0),
      part,
    );
    take(byDelta.filter((detail) => delta(detail) > 0).reverse(), part);
  }
  const best = ({ values }: QueryDetail) => Math.max(0, ...Object.values(values));
  take(
    [...details].sort((a, b) => best(a) - best(b)),
    part,
  );
  return new Set([...picked].slice(0, count));
}
