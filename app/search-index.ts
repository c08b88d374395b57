import { contentHash } from '../corpus/content-hash.ts';
import type { CorpusDocument, Metadata } from '../corpus/types.ts';
import { WinnowError } from '../errors.ts';
import type { SnapshotInfo } from '../indexer/admin/snapshot.ts';
import type { DocumentRef } from '../indexer/format/stored-id.ts';
import { storableSource } from '../indexer/store/storable.ts';
import type { Awaitable, SearchBackend, WriteReport } from '../query/backend.ts';
import { requireList, requireObject } from '../query/check-arguments.ts';
import type { EmbeddedBackend } from '../query/embedded/embedded-backend.ts';
import { type OpenOptions, openEmbedded } from '../query/embedded/open-embedded.ts';
import type { ExplainOptions, SearchOptions } from '../query/request.ts';
import type { SearchResponse } from '../query/response.ts';
import { SourcePreparer } from './source-preparer.ts';

/** A document to add. */
export interface NewDocument {
  /** 1..512 bytes of UTF-8 without NUL. A document with the id of another replaces it. */
  readonly id: string;
  /** Default empty. */
  readonly title?: string;
  readonly text: string;
  /** JSON values by name; those of declared fields can be filtered on. Default empty. */
  readonly metadata?: Metadata;
}

export interface AddOptions {
  /** Cut long texts into passages; otherwise they are cut off at the encoder's window, some 500 tokens. Default true. */
  readonly passages?: boolean;
  /**
   * Called with each document that cannot be stored and its position; the others are added.
   * Default: the first such document rejects the whole call.
   */
  readonly onRejected?: (document: NewDocument, error: WinnowError, position: number) => void;
}

export interface AddReport extends Omit<WriteReport, 'deleted'> {
  /** Documents that the index had with the same content; they were not encoded again. */
  readonly unchanged: number;
}

/**
 * Everything that a program does with one index: add, delete, search, explain. Opened by {@link openIndex}.
 *
 * Methods may be called at any time and overlap until {@link close}. What a method returns at once with the embedded backend, it
 * returns as a promise with a remote one.
 */
export class SearchIndex<Backend extends SearchBackend = EmbeddedBackend> {
  readonly backend: Backend;

  constructor(backend: Backend) {
    this.backend = backend;
  }

  /**
   * Encodes and stores documents, in one commit: all of them are stored durably when the promise resolves, and when it rejects nothing
   * was changed. Documents that are stored with the same content are skipped. Of several with one id the last one wins.
   *
   * All documents of a call are in memory at once. Thousands of them are better streamed with `ingest`, or added in batches.
   *
   * @throws WinnowError WINNOW_BAD_ROW naming the document and field that cannot be stored, WINNOW_INDEX_CLOSED when the index is
   *   closed before all is stored, WINNOW_INDEX_READ_ONLY, WINNOW_STORAGE
   */
  async add(
    documents: readonly NewDocument[],
    { passages = true, onRejected }: AddOptions = {},
  ): Promise<AddReport> {
    requireList(documents, 'documents');
    const preparer = new SourcePreparer(this.backend, passages);
    const readable = documents.flatMap((given, position) => {
      try {
        return [{ ...readDocument(given, position), given, position }];
      } catch (error) {
        if (!onRejected || !(error instanceof WinnowError)) throw error;
        onRejected(given, error, position);
        return [];
      }
    });
    const latest = [...new Map(readable.map((one) => [one.document.id, one])).values()];
    const storedHashes = await this.backend.contentHashes(latest.map(({ document }) => document.id));
    const changed: typeof latest = [];
    for (const one of latest)
      if (!(await preparer.isUnchanged(one, storedHashes.get(one.document.id)))) changed.push(one);
    const { deleted: _, ...report } = await this.backend.write({
      upserts: changed.map((one) => preparer.source(one)),
      ...(onRejected
        ? {
            onRejected: (_source, error, i) => onRejected(changed[i]!.given, error, changed[i]!.position),
          }
        : {}),
    });
    return {
      ...report,
      duplicates: readable.length - latest.length,
      unchanged: latest.length - changed.length,
    };
  }

  /**
   * Deletes documents (with their passages) by id, and single passages by `{id, passage}`.
   *
   * @returns how many the index had
   * @throws WinnowError WINNOW_BAD_ARGUMENT, WINNOW_INDEX_READ_ONLY, WINNOW_STORAGE
   */
  async delete(documents: readonly DocumentRef[]): Promise<number> {
    requireList(documents, 'documents');
    return (await this.backend.write({ deletes: documents })).deleted;
  }

  /**
   * The documents that answer a query, best first. With `rerank` the answer is a promise, also from the embedded backend.
   *
   * @throws WinnowError WINNOW_BAD_ARGUMENT naming the option, WINNOW_FILTER_FIELD, WINNOW_MODEL_NOT_FOUND without a reranker
   */
  search(query: string, options?: SearchOptions & { readonly rerank?: false }): PlainAnswer<Backend>;
  search(query: string, options: SearchOptions): Promise<SearchResponse>;
  search(query: string, options: SearchOptions = {}): Awaitable<SearchResponse> {
    requireObject(options);
    return this.backend.search({ ...options, query });
  }

  /**
   * Why a document has the score it has for a query, token by token, and which rank. Of a source that was cut into passages, the
   * best one is explained, unless `{id, passage}` names one.
   *
   * @throws WinnowError WINNOW_NOT_FOUND when the document is not in the index, WINNOW_BAD_ARGUMENT
   */
  explain(
    query: string,
    document: DocumentRef,
    options: ExplainOptions = {},
  ): ReturnType<Backend['explain']> {
    requireObject(options);
    return this.backend.explain({ ...options, query, document }) as ReturnType<Backend['explain']>;
  }

  /** A document, a passage by `{id, passage}`, or a source that was cut into passages. @throws WinnowError WINNOW_BAD_ARGUMENT */
  get(document: DocumentRef): ReturnType<Backend['get']> {
    return this.backend.get(document) as ReturnType<Backend['get']>;
  }

  stats(): ReturnType<Backend['stats']> {
    return this.backend.stats() as ReturnType<Backend['stats']>;
  }

  /**
   * Copies the whole index, as of now, into a new folder, while searches and writes go on.
   *
   * @throws WinnowError WINNOW_BAD_ARGUMENT, WINNOW_ALREADY_EXISTS, WINNOW_STORAGE, WINNOW_UNSUPPORTED
   */
  async takeSnapshot(folder: string): Promise<SnapshotInfo> {
    return requireSnapshots(this.backend).takeSnapshot(folder);
  }

  /** Ends all work. An {@link add} that has not been committed is rejected. Never rejects. */
  close(): Promise<void> {
    return this.backend.close();
  }
}

/**
 * Opens an index folder. One process of a machine has it open for writing; any number of others read with `readOnly`.
 *
 * @throws WinnowError WINNOW_INDEX_IN_USE naming the process that writes to the folder, WINNOW_INDEX_NOT_FOUND (pass `create: true` to start one), WINNOW_INDEX_MISMATCH when the model is
 *   not the one that the index was built with, WINNOW_INDEX_VERSION, WINNOW_INDEX_CORRUPT, WINNOW_BAD_ARGUMENT
 */
export function openIndex(folder: string, options: OpenOptions = {}): SearchIndex {
  return new SearchIndex(openEmbedded(folder, options));
}

/** The answer to a search without reranking. */
type PlainAnswer<Backend extends SearchBackend> = Backend extends EmbeddedBackend
  ? SearchResponse
  : Awaitable<SearchResponse>;

/** @throws WinnowError WINNOW_UNSUPPORTED */
export function requireSnapshots<Backend extends SearchBackend>(
  backend: Backend,
): Required<Pick<SearchBackend, 'takeSnapshot'>> {
  if (backend.takeSnapshot) return backend as Required<Pick<SearchBackend, 'takeSnapshot'>>;
  throw new WinnowError('WINNOW_UNSUPPORTED', 'this backend takes no snapshots', {
    place: 'snapshots',
    hint: 'back it up with its own tools',
  });
}

/** @throws WinnowError WINNOW_BAD_ROW for a document that cannot be stored */
function readDocument(
  given: NewDocument,
  position: number,
): {
  readonly document: CorpusDocument;
  readonly contentHash: string;
} {
  const isObject = typeof given === 'object' && given !== null && !Array.isArray(given);
  if (!isObject)
    throw new WinnowError('WINNOW_BAD_ROW', 'a document is an object with id and text', {
      place: `documents[${position}]`,
    });
  const { id, title = '', text, metadata = {} } = given;
  const document: CorpusDocument = { id, title, text, metadata };
  storableSource({ id, contentHash: 'not stored', documents: [document] });
  return { document, contentHash: contentHash(document) };
}
