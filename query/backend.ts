import type { MetadataValue } from '../corpus/types.ts';
import type { WinnowError } from '../errors.ts';
import type { SnapshotInfo } from '../indexer/admin/snapshot.ts';
import type { DocumentRef } from '../indexer/format/stored-id.ts';
import type { StoredRecord, StoredSource } from '../indexer/store/records.ts';
import type { SourceDocument } from '../indexer/types.ts';
import type { ExplainRequest, Filter, SearchRequest } from './request.ts';
import type { StageName } from './rerank/stage.ts';
import type { Explanation, SearchResponse } from './response.ts';

/** A backend in this process answers at once, a remote one later. */
export type Awaitable<T> = T | Promise<T>;

/**
 * Something that keeps documents and searches them. The application layer, the server, the evaluation and the command line use an
 * index through this interface only, so that a backend works everywhere once `test/backends/contract.ts` passes for it.
 *
 * All methods may be called at any time until {@link close}; calls overlap as the caller likes. Methods throw or reject with
 * WinnowError only.
 */
export interface SearchBackend {
  readonly capabilities: BackendCapabilities;
  /** How long a passage may be, for cutting texts. */
  readonly window: TextWindow;

  /**
   * The documents that answer a query, best first.
   *
   * @param signal ends a search whose answer is no longer needed
   * @throws WinnowError WINNOW_BAD_ARGUMENT naming the option, WINNOW_FILTER_FIELD
   */
  search(request: SearchRequest, signal?: AbortSignal): Awaitable<SearchResponse>;

  /**
   * Why a document has its score for a query. It does not matter whether the document is among the best.
   *
   * @param signal ends an explanation that is no longer needed, where the backend can
   * @throws WinnowError WINNOW_NOT_FOUND when the document is not in the index, WINNOW_BAD_ARGUMENT
   */
  explain(request: ExplainRequest, signal?: AbortSignal): Awaitable<Explanation>;

  /** A document, a passage by `{id, passage}`, or a source that was cut into passages. @throws WinnowError WINNOW_BAD_ARGUMENT */
  get(document: DocumentRef): Awaitable<StoredRecord | StoredSource | undefined>;

  /** The content hash of each of the sources that is stored; others have no entry. */
  contentHashes(ids: readonly string[]): Awaitable<ReadonlyMap<string, string>>;

  /** Ids of all stored sources, in any order, as of the time of the call. */
  sourceIds(): Iterable<string> | AsyncIterable<string>;

  /**
   * Adds, replaces and deletes. When the promise resolves, all of it is stored durably and the next search sees it; when it rejects,
   * nothing of the list that failed was changed. Upserts come before deletes, each list as one commit. Of upserts with one id
   * the last one wins. A batch of deletes only is carried out before the call returns where the backend is in this process.
   *
   * @throws WinnowError WINNOW_BAD_ROW naming the document and field that cannot be stored (unless {@link WriteBatch.onRejected}
   *   takes it), WINNOW_INDEX_READ_ONLY, WINNOW_INDEX_CLOSED when the backend is closed before all is stored, WINNOW_STORAGE
   */
  write(batch: WriteBatch): Promise<WriteReport>;

  /**
   * Changes metadata of a source without encoding its texts again. Absent where the backend cannot do that.
   *
   * @param changes values by name; null removes a name
   * @returns false when the index does not have the source
   * @throws WinnowError WINNOW_BAD_ROW for values that cannot be stored, WINNOW_STORAGE, WINNOW_INDEX_READ_ONLY
   */
  updateMetadata?(id: string, changes: Readonly<Record<string, MetadataValue>>): Awaitable<boolean>;

  /**
   * Ids of the sources of which some document matches, each once. Absent where the backend cannot do that.
   *
   * @throws WinnowError WINNOW_BAD_ARGUMENT, WINNOW_FILTER_FIELD
   */
  sourcesMatching?(filter: Filter): Awaitable<readonly string[]>;

  /**
   * What the model makes of texts. Absent where the backend cannot do that.
   *
   * @param texts queries of 1..10,000 characters, or documents
   * @param signal ends an encoding that is no longer needed
   * @throws WinnowError WINNOW_UNSUPPORTED for documents of an index of words alone, WINNOW_BAD_ARGUMENT
   */
  encode?(texts: readonly string[], kind: EncodeKind, signal?: AbortSignal): Promise<readonly EncodedText[]>;

  /**
   * What the index holds now. It is cheap enough to be called every second.
   *
   * @throws WinnowError WINNOW_UNHEALTHY when searches cannot be answered
   */
  health(): Awaitable<BackendHealth>;

  /** What the index holds, in detail. */
  stats(): Awaitable<BackendStats>;

  /** What the work of a search grows with; the server limits and schedules searches by it. @param query 1..10,000 characters */
  searchSize(query: string): Awaitable<SearchSize>;

  /**
   * Copies the whole index, as of now, into a new folder. Present where {@link BackendCapabilities.snapshots} is true.
   *
   * @throws WinnowError WINNOW_STORAGE, WINNOW_BAD_ARGUMENT when the folder exists
   */
  takeSnapshot?(folder: string): Promise<SnapshotInfo>;

  /** Ends all work. A {@link write} that has not been committed is rejected. Never rejects; later calls return the same promise. */
  close(): Promise<void>;
}

export interface BackendCapabilities {
  /** Whether {@link SearchBackend.takeSnapshot} exists. */
  readonly snapshots: boolean;
  /** The stages of reranking that requests may ask for. */
  readonly rerank: readonly StageName[];
}

/** The part of a text that the document encoder reads at a time. */
export interface TextWindow {
  /** WordPieces of content that fit the window. */
  readonly maxTokens: number;
  /** Number of WordPieces of a text. */
  countTokens(text: string): number;
}

export interface WriteBatch {
  readonly upserts?: readonly SourceDocument[];
  /** Documents with their passages by id, single passages by `{id, passage}`. */
  readonly deletes?: readonly DocumentRef[];
  /**
   * Called before anything is written with each upsert that cannot be stored and its position in the list; the others are written.
   * Default: the first such upsert rejects the whole batch.
   */
  readonly onRejected?: (source: SourceDocument, error: WinnowError, position: number) => void;
}

export interface WriteReport {
  /** Sources that the index did not have. */
  readonly added: number;
  /** Sources that the index had under the same id. */
  readonly replaced: number;
  /** Sources of the batch that a later one of the same id replaced. */
  readonly duplicates: number;
  /** Sources whose text or metadata held unpaired surrogates; they are stored with U+FFFD in their place. */
  readonly mended: number;
  /** Documents (passages) all of whose words are in scripts that the model does not know: only `bm25` finds them. */
  readonly unknownScript: number;
  /** Documents and passages of `deletes` that the index had. */
  readonly deleted: number;
}

export interface BackendHealth {
  /** Live documents (passages count one each). */
  readonly documents: number;
  /** Number of the newest commit. */
  readonly generation: number;
  /** Name of the model that documents are encoded with. */
  readonly model: string;
  /** Why maintenance of the index failed the last time; searches and writes go on. */
  readonly maintenanceError?: WinnowError;
  /** Where the backend keeps files of its own. */
  readonly storage?: StorageFigures;
}

export interface StorageFigures {
  /** Size of the index file, free pages included. */
  readonly bytes: number;
  readonly segments: number;
  /** Segments that a merge is replacing now. */
  readonly merging: number;
}

export interface BackendStats extends Omit<BackendHealth, 'maintenanceError' | 'storage'> {
  /** Source documents. */
  readonly sources: number;
}

/** `document`: by the model; `query`: by rarity on the web and in the index, as searches do it. */
export const ENCODE_KINDS = ['document', 'query'] as const;
export type EncodeKind = (typeof ENCODE_KINDS)[number];

/** What a text becomes. */
export interface EncodedText {
  /** Weight above 0 by token of the vocabulary, heaviest first. */
  readonly terms: Readonly<Record<string, number>>;
  /** Numbers of its vector, of length 1. Absent where the model or its runtime makes none. */
  readonly vector?: readonly number[];
}

/** What the work of a search grows with. */
export interface SearchSize {
  /** WordPieces of the query. */
  readonly queryTokens: number;
  /** Documents that the calling thread scans: those of the index, or 0 where the search runs elsewhere. */
  readonly documents: number;
}
