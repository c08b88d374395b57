// What a merge costs the searches that run at the same time: one thread searches without pause, with and without a merge in the
// background. On a machine with fewer free cores than threads the two share a core, which the figures then show.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Model, openModel } from '../encoder/model.ts';
import { percentile } from '../evaluation/latency.ts';
import { IndexStore } from '../indexer/index-store.ts';
import { forcedMergesOnly } from '../indexer/merge/merge-policy.ts';
import { Searcher } from '../query/search/searcher.ts';
import { currentCommit, describeMachine } from './machine.ts';
import { impactQueries, sources } from './vector-index.ts';
import { type BenchVectors, grow, readBenchVectors } from './vectors.ts';

export interface MergeBenchOptions {
  /** Folder that readBenchVectors reads. */
  readonly vectors: string;
  /** Documents of a grown collection; default: the collection as it is. */
  readonly documents?: number;
}

export interface MergeBenchRow {
  readonly state: string;
  readonly seconds: number;
  readonly searches: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly p999Us: number;
  readonly maxUs: number;
}

export interface MergeBenchReport {
  readonly machine: string;
  readonly commit: string;
  readonly documents: number;
  readonly rows: readonly MergeBenchRow[];
}

const SEGMENTS = 8;
const QUIET_SECONDS = 3;
/** Searches between two turns of the event loop, in which the result of the merge arrives. */
const TURN = 50;

async function buildSegments(folder: string, vectors: BenchVectors, model: Model): Promise<void> {
  const settings = { modelName: model.name, modelHash: model.hash, impactScale: 3 / 255, filterFields: [] };
  const store = IndexStore.openOrCreate(folder, settings, { mergePolicy: forcedMergesOnly });
  const documents = vectors.offsets.length - 1;
  const batch = Math.ceil(documents / SEGMENTS);
  for (let from = 0; from < documents; from += batch)
    store.upsert(sources(vectors, from, Math.min(from + batch, documents)));
  await store.close();
}

export async function run(options: MergeBenchOptions): Promise<MergeBenchReport> {
  const real = readBenchVectors(options.vectors);
  const vectors = options.documents === undefined ? real : grow(real, options.documents, 1);
  const documents = vectors.offsets.length - 1;
  const folder = mkdtempSync(join(tmpdir(), 'winnow-bench-'));
  const model = openModel();
  await buildSegments(folder, vectors, model);
  const store = IndexStore.open(folder);
  try {
    const searcher = new Searcher(store, model.query);
    const queries = impactQueries(vectors, model);
    let next = 0;
    const search = () => searcher.rankVector(queries[next++ % queries.length]!, 10);
    const measure = async (state: string, done: () => boolean): Promise<MergeBenchRow> => {
      const micros: number[] = [];
      const started = performance.now();
      while (!done()) {
        for (let i = 0; i < TURN; i++) {
          const at = performance.now();
          search();
          micros.push((performance.now() - at) * 1000);
        }
        await new Promise((resolve) => setImmediate(resolve));
      }
      const seconds = (performance.now() - started) / 1000;
      micros.sort((a, b) => a - b);
      return {
        state,
        seconds,
        searches: micros.length,
        p50Us: percentile(micros, 50),
        p99Us: percentile(micros, 99),
        p999Us: percentile(micros, 99.9),
        maxUs: micros.at(-1)!,
      };
    };
    const forSeconds = (seconds: number) => {
      const end = performance.now() + seconds * 1000;
      return () => performance.now() > end;
    };
    await measure('warm-up', forSeconds(1));
    const rows = [await measure(`${SEGMENTS} segments, no merge`, forSeconds(QUIET_SECONDS))];
    let merging = true;
    store.delete([]); // every write starts the merges that are due
    const merged = store.merged().finally(() => {
      merging = false;
    });
    rows.push(await measure('while they are merged', () => !merging));
    await merged;
    rows.push(await measure(`${store.stats().segments} segment, no merge`, forSeconds(QUIET_SECONDS)));
    return { machine: describeMachine(), commit: currentCommit(), documents, rows };
  } finally {
    await store.close();
    rmSync(folder, { recursive: true, force: true });
  }
}
