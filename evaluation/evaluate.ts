import { WinnowError } from '../errors.ts';
import { check } from '../query/check-value.ts';
import { type EvaluationDataset, ownDocuments } from './dataset.ts';
import { type LatencySummary, summarizeLatency } from './latency.ts';
import { evaluateRun, isMetricName, type MetricName, type Run, type ScoredDocument } from './metrics.ts';
import type { BuildProgress, EvaluatedSystem, SystemFactory, SystemFacts } from './system.ts';
import { separateTies } from './tie-order.ts';

/** The measures that every report has. */
const STANDARD_METRICS: readonly MetricName[] = ['ndcg@10', 'recall@100', 'mrr@10', 'map'];

/**
 * What becomes of a hit with the id of its query: `same-text` drops it where the query is that document, `always` drops it
 * as BEIR's `ignore_identical_ids` does, `never` keeps it.
 */
export const IDENTICAL_IDS = ['same-text', 'always', 'never'] as const;
export type IdenticalIds = (typeof IDENTICAL_IDS)[number];

/** Ranges and defaults of {@link EvaluationOptions}, as config files and the command line check them. */
export const EVALUATION_OPTIONS = {
  k: { type: 'integer', minimum: 1, maximum: 10_000, default: 1000 },
  passes: { type: 'integer', minimum: 0, maximum: 100, default: 3 },
  complete: { type: 'boolean', default: true },
  identicalIds: { type: 'string', enum: IDENTICAL_IDS, default: 'same-text' },
} as const;

export interface EvaluationOptions {
  /** Documents kept per query, 1..10,000; default 1000, BEIR's depth for MAP. */
  readonly k?: number;
  /** Measures beside {@link STANDARD_METRICS}. */
  readonly metrics?: readonly MetricName[];
  /** See MetricOptions.complete; default true. */
  readonly complete?: boolean;
  /** Default `same-text`. */
  readonly identicalIds?: IdenticalIds;
  /** Timed passes over all queries after the warm-up pass that also collects the run, 0..100; default 3. */
  readonly passes?: number;
  /** Depth of the timed searches, 1..k; default 10, the usual number of hits. */
  readonly timedK?: number;
  readonly onProgress?: (progress: EvaluationProgress) => void;
}

export interface EvaluationProgress extends BuildProgress {
  readonly dataset: string;
  readonly system: string;
}

/** What one system did on one data set. */
export interface SystemResult {
  readonly dataset: string;
  readonly system: string;
  readonly documents: number | undefined;
  /** Evaluated queries. */
  readonly queries: number;
  readonly means: ReadonlyMap<MetricName, number>;
  readonly perQuery: ReadonlyMap<MetricName, ReadonlyMap<string, number>>;
  /** Undefined for imported runs and with `passes: 0`. */
  readonly latencyUs: LatencySummary | undefined;
  readonly facts: SystemFacts;
  readonly run: Run;
  /** Hits left out of the run as their query's own document, and how many of them are judged relevant. */
  readonly dropped: { readonly hits: number; readonly judged: number };
}

/**
 * Runs one system over one data set, one query after the other in one thread: a first pass to depth k gives the run that is
 * measured, then `passes` passes to depth `timedK` give the latencies.
 *
 * @throws WinnowError WINNOW_BAD_ARGUMENT (an option out of range); whatever the system throws
 */
export async function evaluateSystem(
  dataset: EvaluationDataset,
  system: EvaluatedSystem,
  options: EvaluationOptions = {},
): Promise<SystemResult> {
  const { k, passes, timedK } = checkedOptions(options);
  const metrics = metricNames(options.metrics ?? []);
  const report = (step: string, done: number, total: number) =>
    options.onProgress?.({ dataset: dataset.name, system: system.name, step, done, total });

  const identicalIds = options.identicalIds ?? EVALUATION_OPTIONS.identicalIds.default;
  const run = new Map<string, readonly ScoredDocument[]>();
  const dropped = { hits: 0, judged: 0 };
  for (const [index, query] of dataset.queries.entries()) {
    // One more than k, as the query's own document may be among them.
    const hits = await system.search(query, k + 1);
    let kept = hits;
    if (hits.some(({ id }) => id === query.id) && (await isOwnDocument(dataset, query.id, identicalIds))) {
      kept = hits.filter(({ id }) => id !== query.id);
      dropped.hits++;
      if ((dataset.qrels.get(query.id)?.get(query.id) ?? 0) > 0) dropped.judged++;
    }
    // The order that the system gave is measured, and the TREC file of this run gives the same figures.
    run.set(query.id, separateTies(kept.slice(0, k)));
    report('search', index + 1, dataset.queries.length);
  }

  const micros: number[] = [];
  if (system.timed !== false) {
    for (let pass = 0; pass < passes; pass++) {
      for (const query of dataset.queries) {
        const started = performance.now();
        const answer = system.search(query, timedK);
        // Waiting for a value that is already there would add a turn of the event loop to every figure.
        if (answer instanceof Promise) await answer;
        micros.push((performance.now() - started) * 1000);
      }
      report('time', pass + 1, passes);
    }
  }

  const values = evaluateRun(run, dataset.qrels, metrics, { complete: options.complete ?? true });
  const facts = (await system.describe?.()) ?? {};
  return {
    dataset: dataset.name,
    system: system.name,
    documents: facts.documents,
    queries: values.get(metrics[0]!)!.perQuery.size,
    means: new Map([...values].map(([name, { mean }]) => [name, mean])),
    perQuery: new Map([...values].map(([name, { perQuery }]) => [name, perQuery])),
    latencyUs: summarizeLatency(micros),
    facts,
    run,
    dropped,
  };
}

export async function isOwnDocument(
  dataset: EvaluationDataset,
  id: string,
  how: IdenticalIds,
): Promise<boolean> {
  return how === 'always' || (how === 'same-text' && (await ownDocuments(dataset)).has(id));
}

/**
 * Runs every system over every data set, in that order, one at a time so that timings do not disturb each other. A system
 * is opened, measured and closed before the next; `onResult` sees each result as soon as it is there.
 *
 * @throws WinnowError WINNOW_BAD_ARGUMENT when two systems or data sets share a name
 */
export async function evaluate(
  datasets: readonly EvaluationDataset[],
  factories: readonly SystemFactory[],
  options: EvaluationOptions & {
    readonly onResult?: (result: SystemResult, system: EvaluatedSystem) => void | Promise<void>;
  } = {},
): Promise<SystemResult[]> {
  requireUnique('system', factories);
  requireUnique('data set', datasets);
  const results: SystemResult[] = [];
  for (const dataset of datasets)
    for (const factory of factories) {
      const system = await factory.open(dataset, (progress) =>
        options.onProgress?.({ ...progress, dataset: dataset.name, system: factory.name }),
      );
      try {
        const result = await evaluateSystem(dataset, system, options);
        await options.onResult?.(result, system);
        results.push(result);
      } finally {
        await system.close?.();
      }
    }
  return results;
}

function requireUnique(what: string, named: readonly { readonly name: string }[]): void {
  const seen = new Set<string>();
  for (const { name } of named) {
    if (seen.has(name))
      throw new WinnowError('WINNOW_BAD_ARGUMENT', `two ${what}s are called "${name}"`, {
        place: what,
        hint: 'give each its own name',
      });
    seen.add(name);
  }
}

function checkedOptions(options: EvaluationOptions): { k: number; passes: number; timedK: number } {
  const { k = EVALUATION_OPTIONS.k.default, passes = EVALUATION_OPTIONS.passes.default } = options;
  check(k, EVALUATION_OPTIONS.k, 'k');
  check(passes, EVALUATION_OPTIONS.passes, 'passes');
  const { timedK = Math.min(10, k) } = options;
  check(timedK, { type: 'integer', minimum: 1, maximum: k }, 'timedK');
  return { k, passes, timedK };
}

/** The standard measures and the wanted ones, each once. */
function metricNames(wanted: readonly string[]): MetricName[] {
  for (const name of wanted)
    if (!isMetricName(name))
      throw new WinnowError('WINNOW_BAD_ARGUMENT', `"${name}" is no measure`, {
        place: 'metrics',
        hint: 'use ndcg@k, recall@k, mrr, mrr@k, map, p@k or judged@k',
      });
  return [...new Set([...STANDARD_METRICS, ...(wanted as MetricName[])])];
}
