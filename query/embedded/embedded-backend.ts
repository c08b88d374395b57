import { type Stats, statSync } from 'node:fs';
import { join } from 'node:path';
import type { MetadataValue } from '../../corpus/types.ts';
import type { DocumentEncoderOptions } from '../../encoder/document-encoder.ts';
import type { Model } from '../../encoder/model.ts';
import { WinnowError } from '../../errors.ts';
import type { SnapshotInfo } from '../../indexer/admin/snapshot.ts';
import type { DocumentRef } from '../../indexer/format/stored-id.ts';
import type { IndexStore } from '../../indexer/index-store.ts';
import { INDEX_FILE } from '../../indexer/store/files.ts';
import type { StoredRecord, StoredSource } from '../../indexer/store/records.ts';
import type { IndexStats } from '../../indexer/types.ts';
import type {
  Awaitable,
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
} from '../backend.ts';
import { requireList, requireOptions, requireQuery, requireRef } from '../check-arguments.ts';
import { badArgument } from '../check-value.ts';
import {
  EXPLAIN_OPTIONS,
  type ExplainRequest,
  type Filter,
  SEARCH_OPTIONS,
  type SearchMode,
  type SearchOptions,
  type SearchRequest,
} from '../request.ts';
import type { InstantStage } from '../rerank/stage.ts';
import type { Explanation, SearchResponse } from '../response.ts';
import type { WordContribution } from '../retrieve/bm25.ts';
import type { ScoredDoc } from '../retrieve/retriever.ts';
import { Searcher } from '../search/searcher.ts';
import { queryWeights, tokenStatistics } from '../weights/query-weights.ts';
import { EmbeddedWriter, NOTHING_WRITTEN } from './embedded-writer.ts';
import { SharedEncoders } from './encoder-source.ts';
import { RawIndex } from './raw-index.ts';
import { type RerankChoice, RerankStages } from './rerank-stages.ts';
import type { RerankerOptions } from './reranker-loader.ts';
import { SourceEncoder } from './source-encoder.ts';
import { TextEncoding } from './text-encoding.ts';
import { textWindow } from './text-window.ts';

/** What {@link EmbeddedBackend.stats} says: the contract's figures and those of the index file. */
export type EmbeddedStats = BackendStats & IndexStats;

/**
 * The backend inside this process: one index folder and one model. Searches, explanations, reads and deletes run on the calling
 * thread and return at once; documents are encoded on worker threads, which start with the first {@link write} (some 100 ms) and
 * stay until {@link close}.
 *
 * Opened by `openEmbedded`.
 */
export class EmbeddedBackend implements SearchBackend {
  readonly capabilities: BackendCapabilities;
  readonly window: TextWindow;
  /** Vectors and postings themselves. */
  readonly raw: RawIndex;
  private readonly store: IndexStore;
  private readonly model: Model;
  private readonly searcher: Searcher;
  private readonly encoder: SourceEncoder;
  private readonly stages: RerankStages;
  private readonly writer: EmbeddedWriter;
  private readonly texts: TextEncoding;
  /** Identity of the index file when it was opened. */
  private readonly inode: number | undefined;
  /** Reranked searches under way, which hold a view of the index. */
  private readonly searches = new Set<Promise<unknown>>();
  private closing: Promise<void> | undefined;

  /**
   * @param lexicalOnly whether the index holds words only, so that no model runs
   * @param encoders shared with other indexes; default: its own
   */
  constructor(
    store: IndexStore,
    model: Model,
    lexicalOnly: boolean,
    options: EncodingOptions,
    encoders = new SharedEncoders(options),
  ) {
    this.store = store;
    this.model = model;
    this.raw = new RawIndex(store, model);
    this.searcher = new Searcher(store, model.query, lexicalOnly ? 'bm25' : 'sparse');
    this.encoder = new SourceEncoder(model, lexicalOnly, encoders);
    this.stages = new RerankStages(store, model, this.encoder, options);
    this.capabilities = { snapshots: true, rerank: this.stages.available };
    this.writer = new EmbeddedWriter(store, model, this.encoder, options.backgroundWrites ?? false);
    this.texts = new TextEncoding(model, this.encoder, (text) =>
      queryWeights(model.query, tokenStatistics(store.view()), text, SEARCH_OPTIONS.idf.default),
    );
    this.inode = this.file()?.ino;
    this.window = textWindow(model);
  }

  /** Hash of the model that documents are encoded with; in an index of words alone, of the one that reads its queries. */
  get modelHash(): string {
    return this.model.hash;
  }

  search(request: SearchRequest & { readonly rerank?: false }, signal?: AbortSignal): SearchResponse;
  search(request: SearchRequest, signal?: AbortSignal): Awaitable<SearchResponse>;
  search({ query, ...options }: SearchRequest, signal?: AbortSignal): Awaitable<SearchResponse> {
    signal?.throwIfAborted();
    requireQuery(query);
    requireOptions(options, SEARCH_OPTIONS);
    const { rerank } = options;
    if (rerank) return this.searchReranked(query, rerank, options, signal);
    if (options.minRelevance !== undefined || options.rerankDepth !== undefined) throw needsRerank(options);
    return this.searcher.search(query, options, this.stageOfPlain(options));
  }

  /**
   * Loads the models of reranking, which the first reranked search would do otherwise: some 100 ms each and the memory of their weights.
   *
   * @throws WinnowError WINNOW_MODEL_NOT_FOUND, WINNOW_MODEL_INVALID
   */
  async warmUp(): Promise<void> {
    const stages = await this.stages.open(true);
    if (stages.some(({ name }) => name === 'vector')) await this.encoder.warmUp();
  }

  private async searchReranked(
    query: string,
    rerank: RerankChoice,
    options: SearchOptions,
    signal: AbortSignal | undefined,
  ): Promise<SearchResponse> {
    const search = this.stages
      .open(rerank)
      .then((stages) => this.searcher.searchReranked(query, options, stages, signal));
    this.searches.add(search);
    try {
      return await search;
    } catch (error) {
      // Closing ends the threads under a running search.
      if (this.closing)
        throw this.closedError('the search was answered', 'await search() before close()', error);
      throw error;
    } finally {
      this.searches.delete(search);
    }
  }

  private stageOfPlain({ rerank }: SearchOptions): InstantStage | undefined {
    return rerank === false ? undefined : this.stages.ofEverySearch;
  }

  explain({ query, document, ...options }: ExplainRequest, signal?: AbortSignal): Explanation {
    signal?.throwIfAborted();
    requireQuery(query);
    requireOptions(options, EXPLAIN_OPTIONS);
    return this.searcher.explain(query, requireRef(document, 'id'), options);
  }

  get(document: DocumentRef): StoredRecord | StoredSource | undefined {
    return this.store.get(requireRef(document, 'id'));
  }

  contentHashes(ids: readonly string[]): ReadonlyMap<string, string> {
    return this.store.contentHashes(ids);
  }

  sourceIds(): Iterable<string> {
    return this.store.sourceIds();
  }

  async write({ upserts = [], deletes = [], onRejected }: WriteBatch): Promise<WriteReport> {
    this.requireWritable();
    requireList(upserts, 'sources');
    requireList(deletes, 'documents');
    const refs = deletes.map((ref, i) => requireRef(ref, `documents[${i}]`));
    const report = upserts.length > 0 ? await this.upsert(upserts, onRejected) : NOTHING_WRITTEN;
    if (refs.length === 0) return report;
    return { ...report, deleted: await this.writer.delete(refs) };
  }

  updateMetadata(id: string, changes: Readonly<Record<string, MetadataValue>>): Awaitable<boolean> {
    this.requireWritable();
    return this.writer.updateMetadata(requireRef(id, 'id').id, changes);
  }

  sourcesMatching(filter: Filter): string[] {
    return this.searcher.sourcesMatching(filter);
  }

  encode(texts: readonly string[], kind: EncodeKind, signal?: AbortSignal): Promise<EncodedText[]> {
    return this.texts.encode(texts, kind, signal);
  }

  health(): BackendHealth {
    const file = this.file();
    if (file?.ino !== this.inode)
      throw new WinnowError('WINNOW_UNHEALTHY', 'the index file is gone or was replaced under the server', {
        place: this.store.path,
        hint: 'stop the server, put the folder back or restore a snapshot, and start it again',
      });
    // Looking at the newest generation releases the one before it, whose pages would make the file grow while another process writes.
    const { numLive, manifest } = this.store.view();
    const { mergeError } = this.store;
    return {
      documents: numLive,
      generation: manifest.generation,
      model: this.model.name,
      storage: { bytes: file!.size, ...this.store.segments() },
      ...(mergeError ? { maintenanceError: mergeError } : {}),
    };
  }

  stats(): EmbeddedStats {
    return { ...this.store.stats(), model: this.model.name };
  }

  searchSize(query: string): SearchSize {
    return { queryTokens: this.model.query.count(query), documents: this.store.view().numLive };
  }

  takeSnapshot(folder: string): Promise<SnapshotInfo> {
    return this.store.takeSnapshot(folder);
  }

  close(): Promise<void> {
    this.closing ??= this.closeAll();
    return this.closing;
  }

  /**
   * Waits until no merge is under way or due. Documents are searchable without it.
   *
   * @throws WinnowError why the last merge failed; the index is as it was before it
   */
  finishMerges(): Promise<void> {
    return this.store.merged();
  }

  /** Merges all segments into as few as their largest size allows, before it returns. */
  forceMerge(): void {
    this.store.forceMerge();
  }

  /** Reads every byte of the index. @throws WinnowError WINNOW_INDEX_CORRUPT */
  verify(): void {
    this.store.verify();
  }

  /** Arithmetic of the document encoder; undefined before the first {@link write} of documents. */
  get encoderBackend(): string | undefined {
    return this.encoder.backend;
  }

  /**
   * The k best documents without their stored fields. The query is plain text, as test collections mean it: no operators, no fallback
   * to words where the model does not know the script.
   */
  rank(query: string, mode: SearchMode, k: number, options: SearchOptions = {}): readonly ScoredDoc[] {
    return this.searcher.rank(query, mode, k, options, this.stageOfPlain(options));
  }

  /** As {@link rank}, with the best documents reordered. @throws WinnowError WINNOW_NO_VECTORS, WINNOW_MODEL_NOT_FOUND */
  async rankReranked(
    query: string,
    mode: SearchMode,
    k: number,
    options: SearchOptions & { readonly rerank: RerankChoice },
  ): Promise<readonly ScoredDoc[]> {
    return this.searcher.rankReranked(query, mode, k, options, await this.stages.open(options.rerank));
  }

  /** A document's BM25 score split by the words of the query. @throws WinnowError WINNOW_NOT_FOUND */
  explainWords(query: string, id: string): WordContribution[] {
    return this.searcher.explainWords(query, id);
  }

  /**
   * The tokens of a query that learned weights are compared with.
   *
   * @returns termIds, ascending, and for each the number of documents with a weight for it, deleted ones included
   */
  queryTerms(query: string): { readonly termIds: Uint16Array; readonly documentFrequencies: Uint32Array } {
    const { termIds } = this.model.query.encode(query);
    const { segments } = this.store.view();
    const documentFrequencies = Uint32Array.from(termIds, (termId) =>
      segments.reduce((sum, { segment }) => {
        const list = segment.listIdOfTerm(termId);
        return list < 0 ? sum : sum + segment.impacts.documentFrequency(list);
      }, 0),
    );
    return { termIds, documentFrequencies };
  }

  private async upsert(
    upserts: NonNullable<WriteBatch['upserts']>,
    onRejected: WriteBatch['onRejected'],
  ): Promise<WriteReport> {
    try {
      return await this.writer.upsert(upserts, onRejected, () => this.requireWritable());
    } catch (error) {
      // Closing ends the encoder's threads under a running call.
      if (this.closing) throw this.closedError(...WRITTEN, error);
      throw error;
    }
  }

  private requireWritable(): void {
    if (this.closing) throw this.closedError(...WRITTEN);
    this.store.requireWritable();
  }

  private closedError(what: string, hint: string, cause?: unknown): WinnowError {
    return new WinnowError('WINNOW_INDEX_CLOSED', `the index was closed before ${what}`, {
      place: this.store.path,
      hint,
      cause,
    });
  }

  private file(): Stats | undefined {
    return statSync(join(this.store.path, INDEX_FILE), { throwIfNoEntry: false });
  }

  private async closeAll(): Promise<void> {
    await this.encoder.close();
    await this.stages.close();
    // Their models are gone, so they end now; only then may the file be closed.
    await Promise.allSettled(this.searches);
    await this.store.close();
  }
}

/** How documents are encoded and written, and hits reranked. */
export type EncodingOptions = DocumentEncoderOptions &
  RerankerOptions & {
    /**
     * Commits of more than a few documents run on a thread of their own, so that searches go on meanwhile: for programs that answer
     * searches while they write. Default false: they run on the calling thread.
     */
    readonly backgroundWrites?: boolean;
  };

const WRITTEN = ['the documents were written', 'await add() before close()'] as const;

export function needsRerank({ minRelevance }: SearchOptions): WinnowError {
  const place = minRelevance === undefined ? 'rerankDepth' : 'minRelevance';
  return badArgument(place, 'has no effect without reranking', 'add rerank: true');
}
