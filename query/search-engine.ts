import { createDocumentEncoder, type DocumentEncoderOptions } from '../encoder/document-encoder.ts';
import { type Model, openModel } from '../encoder/model-file.ts';
import type { DocumentEncoder, SparseVector } from '../encoder/types.ts';
import { WinnowError } from '../errors.ts';
import { MAX_IMPACT } from '../indexer/format.ts';
import type { Generation } from '../indexer/generation.ts';
import { IndexStore, type UpsertResult } from '../indexer/index-store.ts';
import type { StoredRecord, StoredSource } from '../indexer/records.ts';
import type { StorableSource } from '../indexer/storable.ts';
import { requireFolder } from '../indexer/storage.ts';
import type { DocumentRef } from '../indexer/stored-id.ts';
import type { FilterField, IndexableSource, IndexStats, SourceDocument } from '../indexer/types.ts';
import { indexable, searchableText } from './indexable.ts';
import { KnownScripts } from './known-scripts.ts';
import {
  EXPLAIN_OPTIONS,
  OPEN_OPTIONS,
  requireFilterFields,
  requireList,
  requireOptions,
  requireQuery,
  requireRef,
  SEARCH_OPTIONS,
} from './request.ts';
import type { ExplainedHit, SearchOptions, SearchResult } from './search-types.ts';
import { Searcher } from './searcher.ts';

export interface EngineOptions extends DocumentEncoderOptions {
  /** Bundled model name or model folder; must be the one the index was built with. Default: the index's own. */
  readonly model?: string;
  /** Metadata fields that filters may name; fixed when the index is created. */
  readonly filterFields?: readonly FilterField[];
  /** Create the index when the folder has none. Default false. */
  readonly create?: boolean;
  /** Search only. Default false. */
  readonly readOnly?: boolean;
  /** Index words only, for BM25: no model runs and sparse searches find nothing. Fixed at creation. Default false. */
  readonly lexicalOnly?: boolean;
}

/** What {@link SearchEngine.add} did. */
export interface AddResult extends UpsertResult {
  /** Documents (passages) all of whose words are of scripts that the model does not know: only `bm25` finds them. */
  readonly unknownScript: number;
}

/** Stands for the model's hash in an index without vectors. */
const LEXICAL_ONLY = 'lexical-only';

/** Everything a program does with one index: add, delete, search, explain. Opened by {@link openIndex}. */
export class SearchEngine {
  readonly store: IndexStore;
  readonly model: Model;
  private readonly searcher: Searcher;
  private readonly options: EngineOptions;
  private readonly scripts: KnownScripts;
  /** A promise, so that calls that come at once share one encoder. One that fails to start is forgotten. */
  private encoder: Promise<DocumentEncoder> | undefined;
  private backend: string | undefined;
  private closing: Promise<void> | undefined;

  constructor(store: IndexStore, model: Model, options: EngineOptions) {
    this.store = store;
    this.model = model;
    this.options = options;
    this.searcher = new Searcher(store, model.query);
    this.scripts = new KnownScripts(model.query.tokenizer);
  }

  /** Number of WordPieces of a text, for cutting passages that fit the encoder's window. */
  countTokens(text: string): number {
    return this.model.query.tokenizer.count(text);
  }

  /** Tokens of content that fit one window: the window less [CLS] and [SEP]. */
  get windowTokens(): number {
    return this.model.config.max_position_embeddings - 2;
  }

  /**
   * Encodes and indexes sources; those already there under the same id are replaced. Where an id comes twice the last one wins.
   * On disk when the promise resolves; when it rejects, nothing was changed.
   *
   * The encoder starts with the first call (some 100 ms) and stays until {@link close}.
   *
   * @throws WinnowError WINNOW_BAD_ROW naming the document and field that cannot be stored, WINNOW_INDEX_CLOSED when the index is
   *   closed before all is on disk, WINNOW_INDEX_READ_ONLY, WINNOW_STORAGE
   */
  async add(sources: readonly SourceDocument[]): Promise<AddResult> {
    this.requireWritable();
    requireList(sources, 'sources');
    return this.addPrepared(sources.map((source) => this.store.prepare(source)));
  }

  /**
   * As {@link add}, but a source that the index refuses (a value of the wrong type, an id too long) costs only itself.
   *
   * @param refused called with each such source and its place in `sources`; it is not in the index
   */
  async addEach(
    sources: readonly SourceDocument[],
    refused: (source: SourceDocument, error: WinnowError, index: number) => void,
  ): Promise<AddResult> {
    this.requireWritable();
    requireList(sources, 'sources');
    const sound = sources.flatMap((source, i) => {
      try {
        return [this.store.prepare(source)];
      } catch (error) {
        if (!(error instanceof WinnowError)) throw error;
        refused(source, error, i);
        return [];
      }
    });
    return this.addPrepared(sound);
  }

  private async addPrepared(
    prepared: readonly { readonly value: StorableSource; readonly mended: boolean }[],
  ): Promise<AddResult> {
    // Only the last of an id costs an encoding.
    const latest = [...new Map(prepared.map((source) => [source.value.id, source.value])).values()];
    const vectors = await this.encode(latest.flatMap(({ documents }) => documents.map(searchableText)));
    this.requireWritable();
    let next = 0;
    const ready: IndexableSource[] = latest.map(({ id, contentHash, documents }) => ({
      id,
      contentHash,
      documents: documents.map((document) => indexable(document, vectors[next++]!, this.model)),
    }));
    const { added, replaced } = this.store.upsert(ready);
    this.store.mergeIfNeeded();
    return {
      added,
      replaced,
      duplicates: prepared.length - latest.length,
      mended: prepared.filter(({ mended }) => mended).length,
      unknownScript: latest.reduce(
        (sum, { documents }) =>
          sum + documents.filter((document) => this.scripts.isUnknown(searchableText(document))).length,
        0,
      ),
    };
  }

  /** Arithmetic of the encoder; undefined before the first {@link add}. */
  get encoderBackend(): string | undefined {
    return this.backend;
  }

  private async encode(texts: readonly string[]): Promise<readonly SparseVector[]> {
    if (this.store.settings.modelHash === LEXICAL_ONLY) {
      return texts.map(() => ({ termIds: new Uint16Array(0), weights: new Float32Array(0) }));
    }
    if (texts.length === 0) return [];
    try {
      const encoder = await this.startEncoder();
      this.backend = encoder.backend;
      return await encoder.encode(texts);
    } catch (error) {
      // Closing ends the encoder's threads under a running call.
      if (this.closing) throw this.closedError(error);
      throw error;
    }
  }

  private async startEncoder(): Promise<DocumentEncoder> {
    this.encoder ??= createDocumentEncoder(this.model, this.options);
    const starting = this.encoder;
    try {
      return await starting;
    } catch (error) {
      if (this.encoder === starting) this.encoder = undefined;
      throw error;
    }
  }

  private requireWritable(): void {
    if (this.closing) throw this.closedError();
    this.store.requireWritable();
  }

  private closedError(cause?: unknown): WinnowError {
    return new WinnowError('WINNOW_INDEX_CLOSED', 'the index was closed before the documents were written', {
      place: this.store.path,
      hint: 'await add() before close()',
      cause,
    });
  }

  /**
   * Deletes documents (with their passages) by id, and single passages by `{id, passage}`.
   *
   * @returns how many were found
   * @throws WinnowError WINNOW_BAD_ARGUMENT, WINNOW_INDEX_READ_ONLY, WINNOW_STORAGE
   */
  delete(documents: readonly DocumentRef[]): number {
    requireList(documents, 'documents');
    const found = this.store.delete(documents.map((ref, i) => requireRef(ref, `documents[${i}]`)));
    this.store.mergeIfNeeded();
    return found;
  }

  /** A document, a passage by `{id, passage}`, or a source that was cut into passages. @throws WinnowError WINNOW_BAD_ARGUMENT */
  get(document: DocumentRef): StoredRecord | StoredSource | undefined {
    return this.store.get(requireRef(document, 'id'));
  }

  /** @throws WinnowError WINNOW_BAD_ARGUMENT naming the option, WINNOW_FILTER_FIELD */
  search(query: string, options: SearchOptions = {}): SearchResult {
    requireQuery(query);
    requireOptions(options, SEARCH_OPTIONS);
    return this.searcher.search(query, options);
  }

  /**
   * Why a document has the score it has for a query, token by token, and at which rank it stands. Of a source that was
   * cut into passages, the best one is explained, unless `{id, passage}` names one.
   *
   * @throws WinnowError WINNOW_NOT_FOUND when the document is not in the index, WINNOW_BAD_ARGUMENT
   */
  explain(
    query: string,
    document: DocumentRef,
    options: Pick<SearchOptions, 'idf' | 'syntax'> = {},
  ): ExplainedHit {
    requireQuery(query);
    requireOptions(options, EXPLAIN_OPTIONS);
    return this.searcher.explain(query, requireRef(document, 'id'), options);
  }

  stats(): IndexStats {
    return this.store.stats();
  }

  /** The current view, for readers of raw postings and vectors. */
  generation(): Generation {
    return this.store.generation();
  }

  /** Ends the encoder's threads and running merges. An {@link add} that has not written yet is refused. Never rejects. */
  close(): Promise<void> {
    this.closing ??= this.closeAll();
    return this.closing;
  }

  private async closeAll(): Promise<void> {
    try {
      await (await this.encoder)?.close();
    } catch {
      // It did not start, or ended by itself: whoever called add() has the error, and the index must be closed all the same.
    }
    await this.store.close();
  }
}

/**
 * Opens an index folder for searching and writing.
 *
 * @throws WinnowError WINNOW_INDEX_NOT_FOUND (pass `create: true` to start one), WINNOW_INDEX_MISMATCH when the model is
 *   not the one the index was built with, WINNOW_INDEX_VERSION, WINNOW_INDEX_CORRUPT
 */
export function openIndex(folder: string, options: EngineOptions = {}): SearchEngine {
  requireFolder(folder);
  requireOptions(options, OPEN_OPTIONS);
  const { model: modelName, filterFields, create = false, readOnly = false, lexicalOnly = false } = options;
  if (filterFields) requireFilterFields(filterFields);
  if (create && readOnly)
    throw new WinnowError('WINNOW_BAD_ARGUMENT', 'an index that is created is written to', {
      place: 'readOnly',
      hint: 'leave out create or readOnly',
    });
  if (create && !IndexStore.exists(folder)) {
    const model = openModel(modelName);
    const impactScale = model.config.winnow.maxWeight / MAX_IMPACT;
    const store = IndexStore.openOrCreate(folder, {
      modelName: model.name,
      modelHash: lexicalOnly ? LEXICAL_ONLY : model.hash,
      impactScale,
      filterFields: filterFields ?? [],
    });
    return new SearchEngine(store, model, options);
  }
  const store = IndexStore.open(folder, { readOnly });
  try {
    const model = openModel(modelName ?? store.settings.modelName);
    store.requireSettings({
      modelName: model.name,
      modelHash: store.settings.modelHash === LEXICAL_ONLY ? LEXICAL_ONLY : model.hash,
      impactScale: store.settings.impactScale,
      filterFields: filterFields ?? store.settings.filterFields,
    });
    return new SearchEngine(store, model, options);
  } catch (error) {
    void store.close();
    throw error;
  }
}
