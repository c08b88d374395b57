import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { SearchBackend } from '../../query/backend.ts';
import type { SearchTimings } from '../../query/response.ts';
import type { Queue } from '../open-lane.ts';
import type { WriteCounts } from '../plugins/audit.ts';

/** An index that a server answers from, under the name that requests use. */
export interface NamedBackend {
  readonly name: string;
  readonly backend: SearchBackend;
}

/** Stages of a search, `parse` being that of the request's body. */
const STAGES = ['parse', 'encode', 'search', 'rerank', 'hydrate'] as const;
type Stage = (typeof STAGES)[number];

/** 50 µs to 2.5 s: a search takes some 100 µs, a reranked one some 100 ms. */
const STAGE_BUCKETS = [
  5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5,
];
const REQUEST_BUCKETS = [5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60];

/** What a server counts about requests, searches and writes. */
export class ServerMetrics {
  private readonly requests: Counter<'method' | 'route' | 'status'>;
  private readonly durations: Histogram<'route'>;
  private readonly stages: Histogram<'stage'>;
  private readonly documents: Counter<'outcome'>;

  constructor(registers: Registry[]) {
    this.requests = new Counter({
      name: 'winnow_http_requests_total',
      help: 'Requests that were answered',
      labelNames: ['method', 'route', 'status'],
      registers,
    });
    this.durations = new Histogram({
      name: 'winnow_http_request_seconds',
      help: 'Time from a request to the end of its answer',
      labelNames: ['route'],
      buckets: REQUEST_BUCKETS,
      registers,
    });
    this.stages = new Histogram({
      name: 'winnow_search_stage_seconds',
      help: 'Time of each stage of searches',
      labelNames: ['stage'],
      buckets: STAGE_BUCKETS,
      registers,
    });
    this.documents = new Counter({
      name: 'winnow_documents_total',
      help: 'Documents of write requests by what happened to them',
      labelNames: ['outcome'],
      registers,
    });
    for (const stage of STAGES) this.stages.zero({ stage });
  }

  /** @param route pattern of its path, so that the number of series is bounded @param seconds until the answer was sent */
  answered(method: string, route: string, status: number, seconds: number): void {
    this.requests.inc({ method, route, status });
    this.durations.observe({ route }, seconds);
  }

  stage(stage: Stage, seconds: number): void {
    this.stages.observe({ stage }, seconds);
  }

  searched({ encodeUs, searchUs, rerankUs, hydrateUs }: SearchTimings): void {
    this.stage('encode', encodeUs / 1e6);
    this.stage('search', searchUs / 1e6);
    if (rerankUs !== undefined) this.stage('rerank', rerankUs / 1e6);
    this.stage('hydrate', hydrateUs / 1e6);
  }

  written(counts: WriteCounts): void {
    for (const [outcome, count] of Object.entries(counts)) this.documents.inc({ outcome }, count);
  }
}

/**
 * Lengths of queues and figures of indexes.
 *
 * @returns what reads the figures of the indexes, before metrics are printed
 */
export function observeState(
  registers: Registry[],
  lanes: () => readonly Queue[],
  collections: () => readonly NamedBackend[],
): () => Promise<void> {
  const labelNames = ['collection'] as const;
  const gauge = (name: string, help: string) => new Gauge({ name, help, labelNames, registers });
  new Gauge({
    name: 'winnow_queue_length',
    help: 'Actions that run or wait in a queue of the server',
    labelNames: ['queue'],
    registers,
    collect() {
      this.reset();
      for (const { name, length } of lanes()) this.inc({ queue: name }, length);
    },
  });
  const figures = {
    documents: gauge('winnow_index_documents', 'Documents of the index; passages count one each'),
    bytes: gauge('winnow_index_bytes', 'Size of the index file'),
    segments: gauge('winnow_index_segments', 'Segments of the index'),
    merging: gauge('winnow_merging_segments', 'Segments that a merge is replacing'),
    failed: gauge('winnow_merge_failed', '1 while the last merge failed'),
    usable: gauge('winnow_index_usable', '1 while the index can be searched'),
  };
  return async () => {
    const now = await Promise.all(
      collections().map(async ({ name, backend }) => ({ collection: name, health: await healthOf(backend) })),
    );
    for (const one of Object.values(figures)) one.reset(); // of collections that are gone
    for (const { collection, health } of now) {
      figures.usable.set({ collection }, health ? 1 : 0);
      if (!health) continue;
      figures.documents.set({ collection }, health.documents);
      figures.failed.set({ collection }, health.maintenanceError ? 1 : 0);
      const { storage } = health;
      if (!storage) continue;
      for (const name of ['bytes', 'segments', 'merging'] as const)
        figures[name].set({ collection }, storage[name]);
    }
  };
}

async function healthOf(backend: SearchBackend) {
  try {
    return await backend.health();
  } catch {
    return undefined; // requests that need the index have the error
  }
}
