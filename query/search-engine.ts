import { createDocumentEncoder, type DocumentEncoderOptions } from '../encoder/document-encoder.ts';
import { type Model, openModel } from '../encoder/model-file.ts';
import type { DocumentEncoder, SparseVector } from '../encoder/types.ts';
import { WinnowError } from '../errors.ts';
import { MAX_IMPACT } from '../indexer/format.ts';
import type { Generation } from '../indexer/generation.ts';
import { IndexStore, type UpsertResult } from '../indexer/index-store.ts';
import type { StoredRecord, StoredSource } from '../indexer/storage.ts';
import type { FilterField, IndexableSource, IndexStats, SourceDocument } from '../indexer/types.ts';
import { indexable, searchableText } from './indexable.ts';
import { type ExplainedHit, Searcher, type SearchOptions, type SearchResult } from './searcher.ts';

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

/** Stands for the model's hash in an index without vectors. */
const LEXICAL_ONLY = 'lexical-only';

/** Everything a program does with one index: add, delete, search, explain. Opened by {@link openIndex}. */
export class SearchEngine {
  readonly store: IndexStore;
  readonly model: Model;
  private readonly searcher: Searcher;
  private readonly options: EngineOptions;
  /** A promise, so that calls that come at once share one encoder. */
  private encoder: Promise<DocumentEncoder> | undefined;
  private backend: string | undefined;

  constructor(store: IndexStore, model: Model, options: EngineOptions) {
    this.store = store;
    this.model = model;
    this.options = options;
    this.searcher = new Searcher(store, model.query);
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
   * Encodes and indexes sources; those already there under the same id are replaced. On disk when the promise resolves.
   *
   * The encoder starts with the first call (some 100 ms) and stays until {@link close}.
   */
  async add(sources: readonly SourceDocument[]): Promise<UpsertResult> {
    const texts = sources.flatMap(({ documents }) => documents.map(searchableText));
    const vectors = await this.encode(texts);
    let next = 0;
    const ready: IndexableSource[] = sources.map(({ id, contentHash, documents }) => ({
      id,
      contentHash,
      documents: documents.map((document) => indexable(document, vectors[next++]!, this.model)),
    }));
    const result = this.store.upsert(ready);
    this.store.mergeIfNeeded();
    return result;
  }

  /**
   * As {@link add}, but a source that the index refuses (a value of the wrong type, an id too long) costs only itself.
   *
   * @param refused hears of each such source; it is not in the index
   */
  async addEach(
    sources: readonly SourceDocument[],
    refused: (source: SourceDocument, error: WinnowError) => void,
  ): Promise<UpsertResult> {
    const sound = sources.filter((source) => {
      try {
        this.store.validate(source);
        return true;
      } catch (error) {
        if (!(error instanceof WinnowError)) throw error;
        refused(source, error);
        return false;
      }
    });
    return this.add(sound);
  }

  /** Arithmetic of the encoder; undefined before the first {@link add}. */
  get encoderBackend(): string | undefined {
    return this.backend;
  }

  private async encode(texts: readonly string[]): Promise<readonly SparseVector[]> {
    if (this.store.settings.modelHash === LEXICAL_ONLY) {
      return texts.map(() => ({ termIds: new Uint16Array(0), weights: new Float32Array(0) }));
    }
    this.encoder ??= createDocumentEncoder(this.model, this.options);
    const encoder = await this.encoder;
    this.backend = encoder.backend;
    return encoder.encode(texts);
  }

  /** Deletes documents (with their passages) by id. @returns how many were found */
  delete(ids: readonly string[]): number {
    const found = this.store.delete(ids);
    this.store.mergeIfNeeded();
    return found;
  }

  /** A document, a passage, or a source that was cut into passages. */
  get(id: string): StoredRecord | StoredSource | undefined {
    return this.store.get(id);
  }

  /** @throws WinnowError WINNOW_BAD_ARGUMENT, WINNOW_FILTER_FIELD */
  search(query: string, options: SearchOptions = {}): SearchResult {
    return this.searcher.search(query, options);
  }

  /**
   * Why a document has the score it has for a query, token by token, and at which rank it stands. Of a source that was
   * cut into passages, the best one is explained.
   *
   * @throws WinnowError WINNOW_NOT_FOUND when the id is not in the index
   */
  explain(query: string, id: string, options: Pick<SearchOptions, 'idf'> = {}): ExplainedHit {
    return this.searcher.explain(query, id, options);
  }

  stats(): IndexStats {
    return this.store.stats();
  }

  /** The current view, for readers of raw postings and vectors. */
  generation(): Generation {
    return this.store.generation();
  }

  async close(): Promise<void> {
    await (await this.encoder)?.close();
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
  const { model: modelName, filterFields, create = false, readOnly = false, lexicalOnly = false } = options;
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
