import { cpus, totalmem } from 'node:os';
import type { EvaluationDataset } from './dataset.ts';
import type { SystemResult } from './evaluate.ts';
import type { MetricName } from './metrics.ts';
import { type QueryDetail, queryDetails } from './query-details.ts';
import { averageMeans, type ResultRow, resultRow } from './result-table.ts';
import { comparePaired, holm, type PairedTest } from './significance.ts';
import type { SystemFactory } from './system.ts';

/** Version of the stored form; {@link readReport} rejects others. */
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
function compareWithBaseline(
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
