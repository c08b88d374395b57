// Two-phase search on an OpenSearch cluster beside the exact one: recall and latency by share of the heaviest token below which tokens
// only rescore. Systems take turns query by query, so that all see the same disturbances. Order of magnitude on 50,000 passages and two
// busy cores: milliseconds.
import type { ClusterOptions } from '../backends/opensearch/cluster.ts';
import type { ScoredId } from '../backends/opensearch/cluster-search.ts';
import { openOpenSearch } from '../backends/opensearch/open-opensearch.ts';
import { percentile } from '../evaluation/latency.ts';
import { currentCommit, describeMachine } from './machine.ts';
import { round } from './report.ts';
import { readQueries } from './search.ts';

export interface ClusterBenchOptions extends ClusterOptions {
  /** Name of an index of the cluster. */
  readonly index: string;
  /** File of queries, one JSON object per line with `text`. */
  readonly queries: string;
  /** Hits wanted; default 10. */
  readonly k?: number;
  /** Timed passes after the warm-up; default 3. */
  readonly passes?: number;
  /** Values of `twoPhase` beside 0, the exact search. */
  readonly twoPhase?: readonly number[];
}

export interface ClusterBenchRow {
  readonly twoPhase: number;
  /** Share of the hits of the exact search, those that are tied with its last hit included. */
  readonly recall: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
}

export interface ClusterBenchReport {
  readonly machine: string;
  readonly commit: string;
  readonly documents: number;
  readonly queries: number;
  readonly rows: readonly ClusterBenchRow[];
}

export async function run(options: ClusterBenchOptions): Promise<ClusterBenchReport> {
  const {
    index,
    k = 10,
    passes = 3,
    twoPhase: shares = [0.2, 0.4, 0.6],
    queries: file,
    ...cluster
  } = options;
  const queries = await readQueries(file);
  const systems = await Promise.all(
    [0, ...shares].map(async (twoPhase) => ({
      twoPhase,
      backend: await openOpenSearch(index, { ...cluster, readOnly: true, twoPhase }),
      micros: [] as number[],
      found: [] as (readonly ScoredId[])[],
    })),
  );
  try {
    for (let pass = 0; pass <= passes; pass++)
      for (const query of queries)
        for (const { backend, micros, found } of systems) {
          const started = performance.now();
          const hits = await backend.rank(query, 'sparse', k, { rerank: false });
          if (pass === 0) found.push(hits);
          else micros.push((performance.now() - started) * 1000);
        }
    const exact = systems[0]!;
    return {
      machine: describeMachine(),
      commit: currentCommit(),
      documents: (await exact.backend.stats()).documents,
      queries: queries.length,
      rows: systems.map(({ twoPhase, micros, found }) => {
        const sorted = Float64Array.from(micros).sort();
        const ms = (p: number) => round(percentile(sorted, p) / 1000, 2);
        const recall = round(meanRecall(exact.found, found), 4);
        return { twoPhase, recall, p50Ms: ms(50), p95Ms: ms(95), p99Ms: ms(99) };
      }),
    };
  } finally {
    await Promise.all(systems.map(({ backend }) => backend.close()));
  }
}

function meanRecall(
  exact: readonly (readonly ScoredId[])[],
  found: readonly (readonly ScoredId[])[],
): number {
  const shares = exact.flatMap((hits, i) => {
    if (hits.length === 0) return [];
    const least = hits.at(-1)!.score * (1 - 1e-5);
    return [Math.min(1, found[i]!.filter(({ score }) => score >= least).length / hits.length)];
  });
  return shares.reduce((sum, share) => sum + share, 0) / Math.max(1, shares.length);
}
