import { isDeepStrictEqual } from 'node:util';
import { WinnowError } from '../../errors.ts';
import type { IndexSettings } from '../../indexer/types.ts';
import { type BulkOperation, type ErrorBody, reasonOf, runBulk } from './bulk.ts';
import type { Cluster } from './cluster.ts';
import type { ClusterSource } from './cluster-document.ts';
import { type FoundIndex, newForms, readSettings } from './index-settings.ts';
import { indexBody, type ShardOptions, type StoredForms } from './mapping.ts';
import { requireVersion } from './server-features.ts';

export interface ClusterHit {
  readonly _id: string;
  /** Name of the index, where the search named an alias. */
  readonly _index?: string;
  readonly _score: number | null;
  readonly sort?: readonly (string | number)[];
  readonly _source?: ClusterSource;
  readonly fields?: Readonly<Record<string, readonly (string | number)[]>>;
}

/** `failed` lacks shards of which no copy is there: what counts is how many did not succeed. */
interface ShardCounts {
  readonly total: number;
  readonly successful: number;
}

/** Shards whose documents an answer lacks. */
export const missingShards = ({ total, successful }: ShardCounts): number => total - successful;

/** Answer to one search. */
export interface ClusterResponse {
  readonly timed_out: boolean;
  readonly _shards: ShardCounts;
  readonly hits: { readonly total?: { readonly value: number }; readonly hits: readonly ClusterHit[] };
  readonly aggregations?: Readonly<Record<string, unknown>>;
}

interface RequestOptions {
  readonly signal?: AbortSignal | undefined;
  readonly query?: Readonly<Record<string, string | number | boolean>>;
}

/** Documents of one page of a walk over an index. */
const PAGE = 5000;
/** How long the cluster keeps a point in time between two pages. */
const KEEP_ALIVE = '5m';

/** One index of a cluster, or the alias of one. */
export class ClusterIndex {
  readonly cluster: Cluster;
  readonly name: string;
  readonly settings: IndexSettings;
  readonly forms: StoredForms;
  /** Major version of the cluster's software. */
  readonly majorVersion: number;
  /** Name of the index, where {@link name} is an alias. */
  private current: string;

  private constructor(
    cluster: Cluster,
    name: string,
    { index, settings, forms }: FoundIndex,
    majorVersion: number,
  ) {
    this.cluster = cluster;
    this.name = name;
    this.settings = settings;
    this.forms = forms;
    this.majorVersion = majorVersion;
    this.current = index;
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
    const version = await requireVersion(cluster);
    let made = await readSettings(cluster, name);
    if (!made && create) {
      const forms = await newForms(cluster, version, create.settings, create.shards);
      const body = indexBody(create.settings, create.shards, forms);
      // 400: another process was faster.
      await cluster.request({ method: 'PUT', path: `/${name}`, body, accept: [400] });
      made = await readSettings(cluster, name);
    }
    if (!made)
      throw new WinnowError('WINNOW_INDEX_NOT_FOUND', `the cluster has no index "${name}"`, {
        place: cluster.name,
        hint: 'index documents first: winnow index <path> --engine opensearch --url URL --index NAME',
      });
    return new ClusterIndex(cluster, name, made, version.major);
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
    await this.followAlias([answer]);
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
    await this.followAlias(body.responses);
    return body.responses;
  }

  /** Number of documents that match. */
  async count(query: object): Promise<number> {
    const { body } = await this.cluster.request<{
      count: number;
      _shards: ShardCounts;
    }>({
      method: 'POST',
      path: `/${this.name}/_count`,
      body: { query },
    });
    if (missingShards(body._shards) > 0) throw this.partial(body._shards);
    return body.count;
  }

  /** Stored fields by `_id`, as of the last write, refreshed or not. Those that are not there have no entry. */
  async fetch(
    documents: readonly { readonly key: string; readonly routing: string }[],
    fields: readonly string[] | 'all',
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
        query: fields === 'all' ? {} : { _source_includes: fields.join(',') },
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

  /** As {@link runBulk}. */
  async bulk(operations: readonly BulkOperation[]): Promise<ReadonlyMap<string, string>> {
    return runBulk(this.cluster, this.name, operations);
  }

  /** As {@link bulk}, where nothing can be refused but by mistake. @throws WinnowError WINNOW_CLUSTER with the first reason */
  async bulkAll(operations: readonly BulkOperation[]): Promise<void> {
    const [first] = await this.bulk(operations);
    if (first) throw this.failed(`document ${first[0]} was refused: ${first[1]}`);
  }

  /** Makes all writes visible to searches. */
  async refresh(): Promise<void> {
    const { body } = await this.cluster.request<{ _shards: ShardCounts & { failed: number } }>({
      method: 'POST',
      path: `/${this.name}/_refresh`,
    });
    // Copies that are nowhere have nothing to show.
    const { total, failed } = body._shards;
    if (failed > 0) throw this.partial({ total, successful: total - failed });
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
    if (missingShards(answer._shards) > 0) throw this.partial(answer._shards);
    if (answer.timed_out) throw this.failed('the search timed out');
  }

  /**
   * An alias may stand for another index from one search to the next. Its documents have the fields of its own settings.
   *
   * @throws WinnowError WINNOW_INDEX_MISMATCH where those are others
   */
  private async followAlias(answers: readonly ClusterResponse[]): Promise<void> {
    const isCurrent = ({ _index = this.current }: ClusterHit) => _index === this.current;
    if (answers.every(({ hits }) => hits.hits.every(isCurrent))) return;
    const found = await readSettings(this.cluster, this.name);
    if (!found) return;
    const { index, settings, forms } = found;
    if (!isDeepStrictEqual([settings, forms], [this.settings, this.forms]))
      throw new WinnowError(
        'WINNOW_INDEX_MISMATCH',
        `"${this.name}" now stands for an index with other settings`,
        {
          place: this.path,
          hint: 'open it again',
        },
      );
    this.current = index;
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

  private partial(shards: ShardCounts): WinnowError {
    return this.failed(`${missingShards(shards)} of ${shards.total} shards did not answer`);
  }

  private failed(message: string): WinnowError {
    return new WinnowError('WINNOW_CLUSTER', message, {
      place: this.path,
      hint: 'look at GET /_cluster/health and the logs of the cluster, and run it again',
    });
  }
}
