import { randomUUID } from 'node:crypto';
import type { Model } from '../../encoder/model.ts';
import type { SparseVector } from '../../encoder/types.ts';
import { type DocumentRef, refOf, storedId } from '../../indexer/format/stored-id.ts';
import type { IndexStore } from '../../indexer/index-store.ts';
import type { IndexView } from '../../indexer/store/index-view.ts';
import {
  type DocumentVector,
  type DocumentWords,
  type PostingsReader,
  readImpactPostings,
  readVectors,
  readWordPostings,
  readWords,
} from '../../indexer/store/raw-contents.ts';
import type { IndexableDocument, IndexableSource, WeightVector } from '../../indexer/types.ts';
import { SEARCH_OPTIONS } from '../request.ts';
import { queryWeights, tokenStatistics } from '../weights/query-weights.ts';
import { indexableDocument } from './source-encoder.ts';

/** Term vectors, words and query weights of an index, for exchange with other programs and for training. No model runs. */
export class RawIndex {
  private readonly store: IndexStore;
  private readonly model: Model;

  constructor(store: IndexStore, model: Model) {
    this.store = store;
    this.model = model;
  }

  /** Tokens of the model's vocabulary by termId. */
  get vocabulary(): readonly string[] {
    return this.model.query.tokenizer.tokens;
  }

  get modelName(): string {
    return this.model.name;
  }

  /** weight = impact * impactScale. */
  get impactScale(): number {
    return this.store.settings.impactScale;
  }

  /** A document with a given vector, and with the words and tokens of its text. */
  indexableDocument(document: IndexableDocument['document'], vector: WeightVector): IndexableDocument {
    return indexableDocument(document, vector, this.model);
  }

  private *sources(view: IndexView): Generator<IndexableSource> {
    for (const id of this.store.sourceIds()) {
      const documents = view.documentsOf({ id }).flatMap((record): IndexableDocument[] => {
        const found = view.locate(storedId(record.id, record.passage));
        if (!found) return [];
        const { segment } = found.view;
        const { termIds, impacts } = segment.vector(found.docId);
        const dense = segment.denseVectors?.vector(found.docId);
        const weights = Float32Array.from(impacts, (impact) => impact * this.impactScale);
        const vector = { termIds: termIds.slice(), weights };
        return [
          indexableDocument(
            record,
            dense ? { ...vector, dense: { ...dense, values: dense.values.slice() } } : vector,
            this.model,
          ),
        ];
      });
      // A source that is not whole gets a hash that no document has, so that the next run brings it back.
      const contentHash = this.store.contentHashes([id]).get(id) ?? `partial-${randomUUID()}`;
      if (documents.length > 0) yield { id, contentHash, documents };
    }
  }

  /** The tokens of a query with the weights that searches give them: by rarity on the web and in the index as it is now. */
  queryWeights(query: string): SparseVector {
    return queryWeights(
      this.model.query,
      tokenStatistics(this.store.view()),
      query,
      SEARCH_OPTIONS.idf.default,
    );
  }

  /** WordPiece ids of a text. */
  encodeText(text: string): readonly number[] {
    return this.model.query.tokenizer.encode(text);
  }

  /** @throws WinnowError WINNOW_BAD_ROW for a source that cannot be stored */
  check(source: IndexableSource): void {
    this.store.prepare({ ...source, documents: source.documents.map(({ document }) => document) });
  }

  /**
   * Adds or replaces sources. All of the batch is on disk when the call returns.
   *
   * @throws WinnowError WINNOW_BAD_ROW, WINNOW_INDEX_READ_ONLY, WINNOW_STORAGE
   */
  write(sources: readonly IndexableSource[]): void {
    this.store.upsert(sources);
  }

  /**
   * Reads the index as it is now; later writes do not show.
   *
   * @param read must not keep anything that it reads beyond its end
   */
  async reading<T>(read: (contents: RawContents) => T | Promise<T>): Promise<T> {
    const view = this.store.view().acquire();
    try {
      return await read({
        documents: view.numLive,
        has: (document) => view.documentsOf(refOf(document)).length > 0,
        sources: () => this.sources(view),
        vectors: () => readVectors(view),
        words: () => readWords(view),
        impactPostings: () => readImpactPostings(view),
        wordPostings: () => readWordPostings(view),
      });
    } finally {
      view.release();
    }
  }
}

/** The live documents of one view of an index. */
export interface RawContents {
  /** Number of documents; passages count one each. */
  readonly documents: number;
  has(document: DocumentRef): boolean;
  /** Everything that was stored of each source, so that another index can store it without encoding. Copies. */
  sources(): Generator<IndexableSource>;
  vectors(): Generator<DocumentVector>;
  words(): Generator<DocumentWords>;
  impactPostings(): PostingsReader<number>;
  wordPostings(): PostingsReader<string>;
}
