import type { CorpusDocument, Metadata } from '../corpus/types.ts';
import type { FilterTypeName } from './format/format.ts';
import type { PartName } from './format/parts.ts';

/** A sparse vector with u8 impacts: `termIds` strictly ascending, `impacts` 1..255, same length. */
export interface ImpactVector {
  readonly termIds: Uint16Array;
  readonly impacts: Uint8Array;
}

/** Sparse weights before quantisation; `weights` > 0, `termIds` strictly ascending. Structurally the encoder's SparseVector. */
export interface WeightVector {
  readonly termIds: Uint16Array;
  readonly weights: Float32Array;
}

/** A vector of int8 numbers: number j is `values[j] * scale`. Structurally the encoder's DenseVector. */
export interface DenseVector {
  readonly values: Int8Array;
  /** Above 0. */
  readonly scale: number;
}

/** A document or passage ready for the index. */
export interface IndexableDocument {
  readonly document: CorpusDocument;
  readonly vector: WeightVector;
  /** For reranking. Absent where the model or its runtime makes none; an index that keeps none drops it. */
  readonly dense?: DenseVector | undefined;
  /** Analysed words of title and text in order, repeated as in the text, for BM25. */
  readonly words: readonly string[];
  /**
   * WordPiece ids of title and text in any order: they distinguish terms that occur in the document from those that the model added.
   * Absent where the text is not known, as for imported vectors.
   */
  readonly subwordIds?: readonly number[];
}

/** A document or passage as a program gives it. */
export interface DocumentInput {
  /** The id of the source; may be left out. */
  readonly id?: string;
  /** Ordinal of a passage; may be left out where a source has several documents, which are numbered in their order. */
  readonly passage?: number;
  /** Default empty. */
  readonly title?: string;
  readonly text: string;
  /** Default empty. */
  readonly metadata?: Metadata;
}

/** One source document as read from a corpus, whole or cut into passages. */
export interface SourceDocument {
  /** 1..512 bytes of UTF-8 without NUL. */
  readonly id: string;
  /** Changes when the source changes; an unchanged source need not be encoded again. */
  readonly contentHash: string;
  /** The document, or its passages in order (`splitPassages`). */
  readonly documents: readonly DocumentInput[];
}

/** One source document with the passages it became; replaced and deleted as a whole. */
export interface IndexableSource {
  readonly id: string;
  /** Changes when the source changes; an unchanged source need not be encoded again. */
  readonly contentHash: string;
  readonly documents: readonly IndexableDocument[];
}

export interface FilterField {
  readonly name: string;
  readonly type: FilterTypeName;
}

export interface UpsertResult {
  /** Sources that the index did not have. */
  readonly added: number;
  /** Sources that the index had under the same id. */
  readonly replaced: number;
  /** Sources of the batch that a later one of the same id replaced: the last one counts. */
  readonly duplicates: number;
  /** Sources whose text or metadata held unpaired surrogates; they are stored with U+FFFD in their place. */
  readonly mended: number;
}

/** What an index is built with; fixed when it is created, except that dense vectors can be added later. */
export interface IndexSettings {
  readonly modelName: string;
  readonly modelHash: string;
  /** weight = impact * impactScale; 255 * impactScale is the largest weight kept. */
  readonly impactScale: number;
  readonly filterFields: readonly FilterField[];
  /** Numbers of a document's dense vector; absent when the index keeps none. */
  readonly vectorSize?: number;
}

export interface IndexStats {
  readonly generation: number;
  /** Live documents (passages count one each). */
  readonly documents: number;
  readonly deleted: number;
  /** Source documents. */
  readonly sources: number;
  readonly segments: number;
  /** Segments that a merge is replacing at the moment, in this or another process. */
  readonly merging: number;
  readonly postings: number;
  /** Live documents that have a dense vector. */
  readonly withVectors: number;
  /** Bytes of all segments by part; parts that no segment has are absent. Stored fields and free pages are not counted. */
  readonly bytes: Readonly<Partial<Record<PartName, number>>>;
  readonly settings: IndexSettings;
}
