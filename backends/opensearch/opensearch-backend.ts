import type { MetadataValue } from '../../corpus/types.ts';
import type { Model } from '../../encoder/model.ts';
import { WinnowError } from '../../errors.ts';
import { type DocumentRef, parseStoredId } from '../../indexer/format/stored-id.ts';
import type { StoredRecord, StoredSource } from '../../indexer/store/records.ts';
import type { IndexableSource, IndexSettings } from '../../indexer/types.ts';
import type {
  BackendCapabilities,
  BackendHealth,
  BackendStats,
  EncodedText,
  EncodeKind,
  SearchBackend,
  SearchSize,
  TextWindow,
  WriteBatch,
  WriteReport,
} from '../../query/backend.ts';
import { requireList, requireOptions, requireQuery, requireRef } from '../../query/check-arguments.ts';
import { needsRerank } from '../../query/embedded/embedded-backend.ts';
import { NOTHING_WRITTEN } from '../../query/embedded/embedded-writer.ts';
import { SharedEncoders } from '../../query/embedded/encoder-source.ts';
import type { EncodingOptions } from '../../query/embedded/encoding-options.ts';
import { LEXICAL_ONLY } from '../../query/embedded/open-embedded.ts';
import { RerankStages } from '../../query/embedded/rerank-stages.ts';
import { SourceEncoder } from '../../query/embedded/source-encoder.ts';
import { TextEncoding } from '../../query/embedded/text-encoding.ts';
import { textWindow } from '../../query/embedded/text-window.ts';
import { parseFilter } from '../../query/filter/parse-filter.ts';
import { Hydrator } from '../../query/hydrate/hydrator.ts';
import {
  EXPLAIN_OPTIONS,
  type ExplainRequest,
  type Filter,
  SEARCH_OPTIONS,
  type SearchMode,
  type SearchOptions,
  type SearchRequest,
} from '../../query/request.ts';
import type { Explanation, SearchResponse } from '../../query/response.ts';
import { KnownScripts } from '../../query/text/known-scripts.ts';
import { queryWeights } from '../../query/weights/query-weights.ts';
import { recordOf } from './cluster-document.ts';
import { ClusterExplainer } from './cluster-explainer.ts';
import type { ClusterIndex } from './cluster-index.ts';
import { ClusterSearch, type Reranking, type ScoredId } from './cluster-search.ts';
import { clusterHealth, clusterStats } from './cluster-state.ts';
import { ClusterWriter, refusedDocument } from './cluster-writer.ts';
import { encodedSources } from './encoded-sources.ts';
import { DocumentFetcher } from './fetched-docs.ts';
import { FIELDS } from './mapping.ts';
import { QueryPreparer } from './prepared-query.ts';
import { filterQuery } from './queries.ts';
import { ClusterRankings } from './rankings.ts';
import { ClusterStatistics } from './statistics.ts';
import { contentHashes, hitsOf } from './stored-parts.ts';

const STORED_FIELDS = [FIELDS.source, FIELDS.passage, FIELDS.title, FIELDS.text, FIELDS.metadata];

/**
 * The backend on an OpenSearch cluster: it holds and searches the documents. This process encodes documents and queries, reranks, and
 * makes snippets and explanations. It keeps nothing of its own, so that any number of processes may use one index at the same time.
 *
 * It differs from the embedded backend where a cluster cannot do the same:
 *
 * - A write is no transaction. When {@link write} rejects, some of its sources may be stored; one that is stored in part has no content
 *   hash, so that the next run brings it back.
 * - Two processes that write the same source at the same time may leave it in part; its content hash is then missing, too.
 * - Searches see the counts of tokens of the last minute, unless this process writes.
 *
 * Opened by `openOpenSearch`.
 */
export class OpenSearchBackend implements SearchBackend {
  readonly capabilities: BackendCapabilities;
  readonly window: TextWindow;
  private readonly index: ClusterIndex;
  private readonly model: Model;
  private readonly readOnly: boolean;
  private readonly encoder: SourceEncoder;
  private readonly stages: RerankStages;
  private readonly statistics: ClusterStatistics;
  private readonly writer: ClusterWriter;
  private readonly searcher: ClusterSearch;
  private readonly explainer: ClusterExplainer;
  private readonly texts: TextEncoding;
  private closing: Promise<void> | undefined;

  constructor(
    index: ClusterIndex,
    model: Model,
    options: EncodingOptions & { readonly readOnly?: boolean; readonly twoPhase?: number },
    encoders = new SharedEncoders(options),
  ) {
    const { query } = model;
    const isLexical = index.settings.modelHash === LEXICAL_ONLY;
    this.index = index;
    this.model = model;
    this.readOnly = options.readOnly ?? false;
    this.encoder = new SourceEncoder(model, isLexical, encoders);
    this.stages = new RerankStages(index, model, this.encoder, options);
    this.capabilities = { snapshots: false, rerank: this.stages.available };
    this.statistics = new ClusterStatistics(index);
    this.writer = new ClusterWriter(index, model, this.encoder);
    const scripts = new KnownScripts(query.tokenizer);
    const hydrator = new Hydrator(query, index.settings.impactScale, index.path);
    const parts = {
      preparer: new QueryPreparer(index, query, scripts, this.statistics, isLexical ? 'bm25' : 'sparse'),
      rankings: new ClusterRankings(index, options.twoPhase ?? 0),
      fetcher: new DocumentFetcher(index),
      hydrator,
      scripts,
    };
    this.searcher = new ClusterSearch(index, parts);
    this.explainer = new ClusterExplainer(index, parts);
    this.texts = new TextEncoding(model, this.encoder, async (text) => {
      const statistics = await this.statistics.of(query.tokens(text).termIds);
      return queryWeights(query, statistics, text, SEARCH_OPTIONS.idf.default);
    });
    this.window = textWindow(model);
  }

  async search({ query, ...options }: SearchRequest, signal?: AbortSignal): Promise<SearchResponse> {
    signal?.throwIfAborted();
    this.requireOpen();
    requireQuery(query);
    requireOptions(options, SEARCH_OPTIONS);
    if (!options.rerank && (options.minRelevance !== undefined || options.rerankDepth !== undefined))
      throw needsRerank(options);
    return this.whileOpen(this.searcher.run(query, options, await this.reranking(options), signal));
  }

  async explain({ query, document, ...options }: ExplainRequest): Promise<Explanation> {
    this.requireOpen();
    requireQuery(query);
    requireOptions(options, EXPLAIN_OPTIONS);
    return this.whileOpen(this.explainer.explain(query, requireRef(document, 'id'), options));
  }

  async get(document: DocumentRef): Promise<StoredRecord | StoredSource | undefined> {
    this.requireOpen();
    const { id, passage } = requireRef(document, 'id');
    const records: StoredRecord[] = [];
    for await (const { _source } of hitsOf(this.index, [id], STORED_FIELDS)) records.push(recordOf(_source!));
    if (passage !== undefined) return records.find((record) => record.passage === passage);
    const [first] = records;
    return first && first.passage !== undefined ? joinedPassages(records) : first;
  }

  async contentHashes(ids: readonly string[]): Promise<ReadonlyMap<string, string>> {
    this.requireOpen();
    return contentHashes(this.index, ids);
  }

  sourceIds(): AsyncIterable<string> {
    this.requireOpen();
    return idsOf(this.index, { term: { [FIELDS.lead]: true } });
  }

  async write({ upserts = [], deletes = [], onRejected }: WriteBatch): Promise<WriteReport> {
    this.requireWritable();
    requireList(upserts, 'sources');
    requireList(deletes, 'documents');
    const refs = deletes.map((ref, i) => requireRef(ref, `documents[${i}]`));
    try {
      const report =
        upserts.length > 0
          ? await this.writer.upsert(upserts, onRejected, () => this.requireWritable())
          : NOTHING_WRITTEN;
      return { ...report, deleted: refs.length > 0 ? await this.writer.delete(refs) : 0 };
    } catch (error) {
      // Closing ends the encoder's threads and the connection under a running call.
      throw this.closing ? this.closedError(error) : error;
    } finally {
      this.statistics.invalidate();
    }
  }

  /** Stores sources whose weights are known, of another index of the same model. @throws WinnowError WINNOW_CLUSTER, WINNOW_BAD_ROW for what the cluster refuses */
  async putEncoded(sources: readonly IndexableSource[]): Promise<void> {
    this.requireWritable();
    const [refused] = (await this.writer.put(sources)).refused;
    this.statistics.invalidate();
    if (refused) throw refusedDocument(...refused);
  }

  /** What the index was made with. */
  get settings(): IndexSettings {
    return this.index.settings;
  }

  /** Name or alias in the cluster. */
  get indexName(): string {
    return this.index.name;
  }

  /** Everything that is stored of each source, as of the call, so that another index can store it without encoding. */
  encodedSources(): AsyncIterable<IndexableSource> {
    this.requireOpen();
    return encodedSources(this.index, this.model);
  }

  async updateMetadata(id: string, changes: Readonly<Record<string, MetadataValue>>): Promise<boolean> {
    this.requireWritable();
    return this.writer.updateMetadata(requireRef(id, 'id').id, changes);
  }

  async sourcesMatching(filter: Filter): Promise<readonly string[]> {
    this.requireOpen();
    const { parsed } = parseFilter(filter, this.index.settings.filterFields);
    const ids = new Set<string>();
    for await (const id of idsOf(this.index, filterQuery(parsed))) ids.add(id);
    return [...ids];
  }

  async encode(texts: readonly string[], kind: EncodeKind): Promise<readonly EncodedText[]> {
    this.requireOpen();
    return this.texts.encode(texts, kind);
  }

  async health(): Promise<BackendHealth> {
    this.requireOpen();
    return { ...(await clusterHealth(this.index)), model: this.model.name };
  }

  /** With the settings of the index, declared fields among them. */
  async stats(): Promise<BackendStats & { readonly settings: IndexSettings }> {
    this.requireOpen();
    const { settings } = this.index;
    return { ...(await clusterStats(this.index)), model: this.model.name, settings };
  }

  searchSize(query: string): SearchSize {
    return { queryTokens: this.model.query.count(query), documents: 0 };
  }

  /**
   * The k best documents without their stored fields. The query is plain text, as test collections mean it: no operators, no fallback
   * to words where the model does not know the script.
   */
  async rank(
    query: string,
    mode: SearchMode,
    k: number,
    options: SearchOptions = {},
  ): Promise<readonly ScoredId[]> {
    this.requireOpen();
    return this.searcher.rank(query, mode, k, options, await this.reranking(options));
  }

  close(): Promise<void> {
    this.closing ??= this.closeAll();
    return this.closing;
  }

  private async reranking({ rerank }: SearchOptions): Promise<Reranking> {
    if (rerank) return { kind: 'stages', stages: await this.stages.open(rerank) };
    const stage = rerank === false ? undefined : this.stages.ofEverySearch;
    return stage ? { kind: 'instant', stage } : { kind: 'none' };
  }

  private async whileOpen<T>(running: Promise<T>): Promise<T> {
    try {
      return await running;
    } catch (error) {
      throw this.closing ? this.closedError(error) : error;
    }
  }

  private requireOpen(): void {
    if (this.closing) throw this.closedError();
  }

  private requireWritable(): void {
    this.requireOpen();
    if (this.readOnly)
      throw new WinnowError('WINNOW_INDEX_READ_ONLY', 'the index was opened for reading', {
        place: this.index.path,
        hint: 'open it without readOnly',
      });
  }

  private closedError(cause?: unknown): WinnowError {
    return new WinnowError('WINNOW_INDEX_CLOSED', 'the index was closed before the call ended', {
      place: this.index.path,
      hint: 'await all calls before close()',
      cause,
    });
  }

  private async closeAll(): Promise<void> {
    await this.encoder.close();
    await this.stages.close();
    await this.index.cluster.close().catch(() => {
      // Its connections are gone already.
    });
  }
}

function joinedPassages(records: readonly StoredRecord[]): StoredSource {
  const { id, title, metadata } = records[0]!;
  return {
    id,
    title,
    text: records.map(({ text }) => text).join('\n\n'),
    metadata,
    passages: records.map(({ passage }) => passage!),
  };
}

/** Ids of the sources of the documents that match, as of the call; of several documents of a source, once each. */
function idsOf(index: ClusterIndex, query: object): AsyncIterable<string> {
  const hits = index.walk({ query, _source: false });
  return {
    async *[Symbol.asyncIterator]() {
      for await (const { sort } of hits) yield parseStoredId(String(sort![0])).id;
    },
  };
}
