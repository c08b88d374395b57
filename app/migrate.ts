import type { IndexableSource } from '../indexer/types.ts';
import type { SearchBackend } from '../query/backend.ts';
import type { SearchResponse } from '../query/response.ts';

/** An index that sources are read from, with their weights. */
export interface MigrationSource {
  readonly backend: SearchBackend;
  /** As of the call. */
  sources(): Iterable<IndexableSource> | AsyncIterable<IndexableSource>;
}

/** An index of the same model that they are written to. */
export interface MigrationTarget {
  readonly backend: SearchBackend;
  put(sources: readonly IndexableSource[]): Promise<void> | void;
}

export interface MigrationReport {
  /** Sources that were written. */
  readonly written: number;
  /** Sources that the target had with the same content. */
  readonly unchanged: number;
  /** Documents (passages) of both indexes, in the end. */
  readonly documents: { readonly source: number; readonly target: number };
  /** Queries that both indexes were asked, made of sampled texts. */
  readonly compared: number;
  /** Those of them whose best scores differ; of indexes of words alone, those that only one finds the text with. */
  readonly different: readonly string[];
}

const BATCH = 256;
/** Queries compared at the end. */
const SAMPLES = 50;
/** Best hits compared per query. */
const COMPARED_HITS = 10;
/** A cluster computes in f32. */
const TOLERANCE = 1e-5;

/**
 * Copies sources with their weights, vectors and texts; nothing is encoded. Sources that the target has with the same content are
 * skipped, so that an interrupted run goes on. Sources that only the target has stay. Then counts are compared, and the scores of sampled
 * queries.
 *
 * @throws WinnowError of both indexes
 */
export async function migrate(
  from: MigrationSource,
  to: MigrationTarget,
  onProgress: (sources: number) => void = () => {},
): Promise<MigrationReport> {
  const sampler = new Sampler();
  let written = 0;
  let unchanged = 0;
  let batch: IndexableSource[] = [];
  const flush = async (): Promise<void> => {
    const hashes = await to.backend.contentHashes(batch.map(({ id }) => id));
    const changed = batch.filter(({ id, contentHash }) => hashes.get(id) !== contentHash);
    if (changed.length > 0) await to.put(changed);
    written += changed.length;
    unchanged += batch.length - changed.length;
    batch = [];
    onProgress(written + unchanged);
  };
  for await (const source of from.sources()) {
    sampler.offer(source);
    batch.push(source);
    if (batch.length >= BATCH) await flush();
  }
  if (batch.length > 0) await flush();
  return {
    written,
    unchanged,
    documents: {
      source: (await from.backend.health()).documents,
      target: (await to.backend.health()).documents,
    },
    compared: sampler.samples.length,
    different: await differing(from.backend, to.backend, sampler.samples),
  };
}

/** The beginning of a source's text as a query. */
interface Sample {
  readonly id: string;
  readonly query: string;
}

/** Keeps an even sample of a stream whose length is not known: every nth source, with n doubled whenever there are too many. */
class Sampler {
  samples: Sample[] = [];
  private seen = 0;
  private step = 1;

  offer({ id, documents }: IndexableSource): void {
    if (this.seen++ % this.step !== 0) return;
    const { title, text } = documents[0]!.document;
    const query = `${title} ${text}`.trim().slice(0, 80);
    if (query !== '') this.samples.push({ id, query });
    if (this.samples.length <= SAMPLES) return;
    this.step *= 2;
    this.samples = this.samples.filter((_, i) => i % 2 === 0);
  }
}

async function differing(a: SearchBackend, b: SearchBackend, samples: readonly Sample[]): Promise<string[]> {
  const different: string[] = [];
  for (const { id, query } of samples) {
    // The model's table alone: counts of an index change with what was deleted from it. Scores, because equal ones have any order.
    const options = {
      k: COMPARED_HITS,
      idf: 'table',
      syntax: 'plain',
      rerank: false,
      highlight: false,
    } as const;
    const [one, other] = [await a.search({ query, ...options }), await b.search({ query, ...options })];
    if (!(one.mode === 'bm25' ? findBoth(id, one, other) : scoreAlike(one, other))) different.push(query);
  }
  return different;
}

function scoreAlike(one: SearchResponse, other: SearchResponse): boolean {
  return (
    one.hits.length === other.hits.length &&
    one.hits.every(({ score }, i) => Math.abs(score - other.hits[i]!.score) <= TOLERANCE * Math.max(1, score))
  );
}

/** Scores by words depend on deleted documents that only one of the indexes still counts. */
const findBoth = (id: string, one: SearchResponse, other: SearchResponse): boolean =>
  one.hits.some((hit) => hit.id === id) === other.hits.some((hit) => hit.id === id);
