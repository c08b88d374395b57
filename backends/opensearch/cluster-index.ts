import { setTimeout as sleep } from 'node:timers/promises';
import { WinnowError } from '../../errors.ts';
import type { IndexSettings } from '../../indexer/types.ts';
import { type Cluster, pauseMs } from './cluster.ts';
import type { ClusterDocument, ClusterSource } from './cluster-document.ts';
import { readSettings } from './index-settings.ts';
import { indexBody, type ShardOptions } from './mapping.ts';
import { requireVersion } from './server-features.ts';

export interface ClusterHit {
  readonly _id: string;
  readonly _score: number | null;
  readonly sort?: readonly (string | number)[];
  readonly _source?: ClusterSource;
  readonly fields?: Readonly<Record<string, readonly (string | number)[]>>;
}

/** Answer to one search. */
export interface ClusterResponse {
  readonly timed_out: boolean;
  readonly _shards: { readonly total: number; readonly failed: number };
  readonly hits: { readonly total?: { readonly value: number }; readonly hits: readonly ClusterHit[] };
  readonly aggregations?: Readonly<Record<string, unknown>>;
}

interface RequestOptions {
  readonly signal?: AbortSignal | undefined;
  readonly query?: Readonly<Record<string, string | number | boolean>>;
}

/** One operation of a bulk request. */
export type BulkOperation =
  | { readonly put: ClusterDocument }
  | { readonly change: { readonly key: string; readonly routing: string; readonly fields: object } }
  | { readonly remove: { readonly key: string; readonly routing: string } };

/** Bytes of a bulk request, about: large enough to be worth the trip, far below what a cluster accepts (100 MB). */
const BULK_BYTES = 8_000_000;
/** Documents of one page of a walk over an index. */
const PAGE = 5000;
/** How long the cluster keeps a point in time between two pages. */
const KEEP_ALIVE = '5m';

/** One index of a cluster, or the alias of one. */
export class ClusterIndex {
  readonly cluster: Cluster;
  readonly name: string;
  readonly settings: IndexSettings;
  /** Major version of the cluster's software. */
  readonly majorVersion: number;

  private constructor(cluster: Cluster, name: string, settings: IndexSettings, majorVersion: number) {
    this.cluster = cluster;
    this.name = name;
    this.settings = settings;
    this.majorVersion = majorVersion;
  }

  /** For messages. */
  get path(): string {
    return `${this.cluster.name}/${this.name}`;
  }

  /**
   * @param create settings of the index where there is none; undefined: it must exist
   * @throws WinnowError WINNOW_INDEX_NOT_FOUND, WINNOW_INDEX_MISMATCH, WINNOW_INDEX_VERSION, WINNOW_CLUSTER, WINNOW_BAD_ARGUMENT
   */
  static async open(
    cluster: Cluster,
    name: string,
    create: { readonly settings: IndexSettings; readonly shards: ShardOptions } | undefined,
  ): Promise<ClusterIndex> {
    if (!/^[a-z0-9][a-z0-9._-]{0,199}$/.test(name))
      throw new WinnowError('WINNOW_BAD_ARGUMENT', `"${name}" cannot name an index of a cluster`, {
        place: 'index',
        hint: 'use small letters, digits, dots, dashes and underscores',
      });
    const { major } = await requireVersion(cluster);
    let settings = await readSettings(cluster, name);
    if (!settings && create) {
      const body = indexBody(create.settings, create.shards);
      // 400: another process was faster.
      await cluster.request({ method: 'PUT', path: `/${name}`, body, accept: [400] });
      settings = await readSettings(cluster, name);
    }
    if (!settings)
      throw new WinnowError('WINNOW_INDEX_NOT_FOUND', `the cluster has no index "${name}"`, {
        place: cluster.name,
        hint: 'index documents first: winnow index <path> --engine opensearch --url URL --index NAME',
      });
    return new ClusterIndex(cluster, name, settings, major);
  }

  /** @throws WinnowError WINNOW_CLUSTER, also when shards that hold documents are missing and `partial` is false */
  async search(
    body: object,
    { signal, query = {}, partial = false }: RequestOptions & { readonly partial?: boolean } = {},
  ): Promise<ClusterResponse> {
    const { body: answer } = await this.cluster.request<ClusterResponse>({
      method: 'POST',
      path: 'pit' in body ? '/_search' : `/${this.name}/_search`,
      query: 'pit' in body ? query : { allow_partial_search_results: partial, ...query },
      body,
      signal,
    });
    if (!partial) this.requireAll(answer);
    return answer;
  }

  /** Several searches in one request. @throws WinnowError WINNOW_CLUSTER, as {@link search} */
  async searches(
    bodies: readonly object[],
    {
      signal,
      dfs = false,
      partial = false,
    }: RequestOptions & { readonly dfs?: boolean; readonly partial?: boolean } = {},
  ): Promise<ClusterResponse[]> {
    const header = JSON.stringify({
      allow_partial_search_results: partial,
      ...(dfs ? { search_type: 'dfs_query_then_fetch' } : {}),
    });
    const lines = bodies.map((body) => `${header}\n${JSON.stringify(body)}\n`).join('');
    const { body } = await this.cluster.request<{
      responses: (ClusterResponse & { error?: ErrorBody; status: number })[];
    }>({
      method: 'POST',
      path: `/${this.name}/_msearch`,
      lines,
      signal,
    });
    for (const answer of body.responses) {
      if (answer.error) throw this.failed(`${answer.status} ${reasonOf(answer.error)}`);
      if (!partial) this.requireAll(answer);
    }
    return body.responses;
  }

  /** Number of documents that match. */
  async count(query: object): Promise<number> {
    const { body } = await this.cluster.request<{
      count: number;
      _shards: { failed: number; total: number };
    }>({
      method: 'POST',
      path: `/${this.name}/_count`,
      body: { query },
    });
    if (body._shards.failed > 0) throw this.partial(body._shards);
    return body.count;
  }

  /** Stored fields by `_id`, as of the last write, refreshed or not. Those that are not there have no entry. */
  async fetch(
    documents: readonly { readonly key: string; readonly routing: string }[],
    fields: readonly string[],
    signal?: AbortSignal,
  ): Promise<ReadonlyMap<string, ClusterSource>> {
    const found = new Map<string, ClusterSource>();
    for (let from = 0; from < documents.length; from += 1000) {
      const docs = documents.slice(from, from + 1000).map(({ key, routing }) => ({ _id: key, routing }));
      const { body } = await this.cluster.request<{
        docs: { _id: string; found?: boolean; _source?: ClusterSource; error?: ErrorBody }[];
      }>({
        method: 'POST',
        path: `/${this.name}/_mget`,
        query: { _source_includes: fields.join(',') },
        body: { docs },
        signal,
      });
      for (const { _id, _source, error } of body.docs) {
        if (error) throw this.failed(reasonOf(error));
        if (_source) found.set(_id, _source);
      }
    }
    return found;
  }

  /**
   * Carries out operations in their order, in requests of some megabytes. Operations that the cluster refuses as busy are repeated.
   * There is no transaction: when it throws, operations before the failure have been carried out.
   *
   * @throws WinnowError WINNOW_CLUSTER naming the document that the cluster refused
   */
  async bulk(operations: readonly BulkOperation[]): Promise<void> {
    let lines: string[] = [];
    let bytes = 0;
    for (const operation of operations) {
      const line = bulkLines(operation);
      if (lines.length > 0 && bytes + line.length > BULK_BYTES) {
        await this.sendBulk(lines);
        lines = [];
        bytes = 0;
      }
      lines.push(line);
      bytes += line.length;
    }
    if (lines.length > 0) await this.sendBulk(lines);
  }

  /** Makes all writes visible to searches. */
  async refresh(): Promise<void> {
    const { body } = await this.cluster.request<{ _shards: { failed: number; total: number } }>({
      method: 'POST',
      path: `/${this.name}/_refresh`,
    });
    if (body._shards.failed > 0) throw this.partial(body._shards);
  }

  /**
   * Walks over the hits of a search, as of the call, in ascending order of stored id.
   *
   * @param body query and `_source`
   */
  walk(body: {
    readonly query: object;
    readonly _source: readonly string[] | boolean;
  }): AsyncIterable<ClusterHit> {
    // As of the call: the point in time is opened before the first page is wanted.
    const opening = this.openPointInTime();
    opening.catch(() => {});
    return { [Symbol.asyncIterator]: () => this.pages(body, opening) };
  }

  requireAll(answer: ClusterResponse): void {
    if (answer._shards.failed > 0) throw this.partial(answer._shards);
    if (answer.timed_out) throw this.failed('the search timed out');
  }

  private async *pages(body: object, opening: Promise<string>): AsyncGenerator<ClusterHit> {
    let id = await opening;
    let after: readonly (string | number)[] | undefined;
    try {
      for (;;) {
        const page: ClusterResponse & { pit_id?: string } = await this.search({
          ...body,
          size: PAGE,
          sort: [{ sid: 'asc' }],
          track_total_hits: false,
          pit: { id, keep_alive: KEEP_ALIVE },
          ...(after ? { search_after: after } : {}),
        });
        id = page.pit_id ?? id;
        yield* page.hits.hits;
        if (page.hits.hits.length < PAGE) return;
        after = page.hits.hits.at(-1)!.sort;
      }
    } finally {
      await this.cluster
        .request({ method: 'DELETE', path: '/_search/point_in_time', body: { pit_id: [id] }, accept: [404] })
        .catch(() => {
          // It ends by itself.
        });
    }
  }

  private async openPointInTime(): Promise<string> {
    const { body } = await this.cluster.request<{ pit_id: string }>({
      method: 'POST',
      path: `/${this.name}/_search/point_in_time`,
      query: { keep_alive: KEEP_ALIVE },
    });
    return body.pit_id;
  }

  private async sendBulk(lines: readonly string[]): Promise<void> {
    let waiting = lines;
    for (let attempt = 0; ; attempt++) {
      const { body } = await this.cluster.request<{ errors: boolean; items: Record<string, BulkItem>[] }>({
        method: 'POST',
        path: `/${this.name}/_bulk`,
        lines: waiting.join(''),
      });
      if (!body.errors) return;
      const refused: string[] = [];
      body.items.forEach((item, i) => {
        const [{ _id, status, error }] = Object.values(item) as [BulkItem];
        if (status < 300 || (status === 404 && !error)) return;
        if (status !== 429 && status !== 503)
          throw this.failed(`document ${_id} was refused: ${status} ${reasonOf(error)}`);
        refused.push(waiting[i]!);
      });
      if (refused.length === 0) return;
      if (attempt >= this.cluster.retries)
        throw this.failed(`${refused.length} documents were refused, because the cluster is busy`);
      waiting = refused;
      await sleep(pauseMs(attempt));
    }
  }

  private partial({ failed, total }: { readonly failed: number; readonly total: number }): WinnowError {
    return this.failed(`${failed} of ${total} shards did not answer`);
  }

  private failed(message: string): WinnowError {
    return new WinnowError('WINNOW_CLUSTER', message, {
      place: this.path,
      hint: 'look at GET /_cluster/health and the logs of the cluster, and run it again',
    });
  }
}

interface ErrorBody {
  readonly reason?: string;
  readonly root_cause?: readonly { readonly reason?: string }[];
  readonly caused_by?: { readonly reason?: string };
}

interface BulkItem {
  readonly _id: string;
  readonly status: number;
  readonly error?: ErrorBody;
}

function reasonOf(error: ErrorBody | undefined): string {
  const reason = error?.root_cause?.[0]?.reason ?? error?.reason ?? 'no reason is given';
  return error?.caused_by?.reason ? `${reason}: ${error.caused_by.reason}` : reason;
}

function bulkLines(operation: BulkOperation): string {
  if ('put' in operation) {
    const { key, routing, source } = operation.put;
    return `${JSON.stringify({ index: { _id: key, routing } })}\n${JSON.stringify(source)}\n`;
  }
  if ('change' in operation) {
    const { key, routing, fields } = operation.change;
    return `${JSON.stringify({ update: { _id: key, routing } })}\n${JSON.stringify({ doc: fields })}\n`;
  }
  const { key, routing } = operation.remove;
  return `${JSON.stringify({ delete: { _id: key, routing } })}\n`;
}
