import type {
  CollectionInfo,
  CollectionSettings,
  CollectionStats,
  SearchQuery,
  Task,
  TaskRequest,
} from '../app/service/types.ts';
import type { Metadata } from '../corpus/types.ts';
import type { StoredRecord, StoredSource } from '../indexer/store/records.ts';
import type { EncodedText } from '../query/backend.ts';
import type { Explanation, SearchResponse } from '../query/response.ts';
import { type Call, type CallOptions, path, type Transport, WRITE_TIMEOUT_MS } from './transport.ts';
import type {
  AddAnswer,
  AddOptions,
  DeleteRequest,
  EncodeOptions,
  ExplainQuery,
  ExportedDocument,
  FileContent,
  FileOptions,
  NewDocument,
  PassageOptions,
  UploadOptions,
} from './types.ts';
import { documentParts, filePart, Upload } from './upload.ts';

/**
 * A collection of a server, by name or alias; whether there is one, the first call shows. All calls reject with WinnowClientError, or with
 * the reason of their signal.
 */
export class CollectionClient {
  readonly name: string;
  private readonly transport: Transport;

  constructor(transport: Transport, name: string) {
    this.transport = transport;
    this.name = name;
  }

  info(options?: CallOptions): Promise<CollectionInfo> {
    return this.call({ method: 'GET' }, options);
  }

  /** Settings that are not given stay as they are. */
  update(settings: CollectionSettings, options?: CallOptions): Promise<CollectionInfo> {
    return this.call({ method: 'PATCH', json: settings }, options);
  }

  /** Deletes the collection with all its documents. It must be named by its name, not by an alias. */
  async drop(options?: CallOptions): Promise<void> {
    await this.call({ method: 'DELETE' }, options);
  }

  /** Counts and sizes of its index. */
  stats(options?: CallOptions): Promise<CollectionStats> {
    return this.call({ method: 'GET', path: '/stats' }, options);
  }

  /** Exchanges what two names stand for, at once. @returns what this name stands for then */
  swap(other: string, options?: CallOptions): Promise<CollectionInfo> {
    return this.call({ method: 'POST', path: '/swap', json: { with: other } }, options);
  }

  search(request: SearchQuery, options?: CallOptions): Promise<SearchResponse> {
    return this.call({ method: 'POST', path: '/search', json: request, isRead: true }, options);
  }

  /** Why a document has its score for a query. */
  explain(request: ExplainQuery, options?: CallOptions): Promise<Explanation> {
    return this.call({ method: 'POST', path: '/explain', json: request, isRead: true }, options);
  }

  /** What the model makes of texts, in their order. @param texts 1..64 */
  async encode(
    texts: readonly string[],
    { kind, ...options }: EncodeOptions = {},
  ): Promise<readonly EncodedText[]> {
    const json = { texts, ...(kind === undefined ? {} : { kind }) };
    const call = { method: 'POST', path: '/encode', json, isRead: true } as const;
    return (await this.call<{ items: readonly EncodedText[] }>(call, options)).items;
  }

  /**
   * Adds a document, whose errors are thrown, or a list of up to 10,000, each with a result of its own. For more, see {@link upload}.
   */
  add(
    documents: NewDocument | readonly NewDocument[],
    { mode, passages, results, ...options }: AddOptions = {},
  ): Promise<AddAnswer> {
    const query = { mode, passages, results };
    const call = { method: 'POST', path: '/documents', query, json: documents } as const;
    return this.call({ ...call, timeoutMs: WRITE_TIMEOUT_MS }, options);
  }

  /** Adds any number of documents while they come; nothing is sent before the results are read. */
  upload(documents: AsyncIterable<NewDocument> | Iterable<NewDocument>, options: UploadOptions = {}): Upload {
    return new Upload(this.transport, documentParts(this.name, documents, options), options);
  }

  /**
   * Adds the documents of a Markdown, HTML, text, CSV or JSON Lines file, as `winnow index` reads it.
   *
   * @param name of the file, whose ending says what it is; the id of a text
   */
  uploadFile(name: string, content: FileContent, options: FileOptions = {}): Upload {
    return new Upload(this.transport, filePart(this.name, name, content, options), options);
  }

  /** A document as it was added, or one passage of it. */
  get(id: string, { passage, ...options }: PassageOptions = {}): Promise<StoredRecord | StoredSource> {
    return this.call({ method: 'GET', path: path`/documents/${id}`, query: { passage } }, options);
  }

  /** Sets metadata by name, without encoding the text again; null removes a name. @returns the document */
  updateMetadata(
    id: string,
    metadata: Metadata,
    options?: CallOptions,
  ): Promise<StoredRecord | StoredSource> {
    return this.call({ method: 'PATCH', path: path`/documents/${id}`, json: { metadata } }, options);
  }

  /** Deletes a document with its passages, or one passage. @returns how many documents and passages */
  async deleteDocument(id: string, { passage, ...options }: PassageOptions = {}): Promise<number> {
    const call = { method: 'DELETE', path: path`/documents/${id}`, query: { passage } } as const;
    return (await this.call<{ deleted: number }>(call, options)).deleted;
  }

  /** @returns how many documents and passages */
  async deleteDocuments(which: DeleteRequest, options?: CallOptions): Promise<number> {
    const call = { method: 'POST', path: '/documents/delete', json: which } as const;
    return (await this.call<{ deleted: number }>(call, options)).deleted;
  }

  /** All documents while they arrive, passages joined. */
  export(options?: CallOptions): AsyncGenerator<ExportedDocument, void> {
    const call = { method: 'GET', path: path`/collections/${this.name}/documents` } as const;
    return this.transport.lines(call, options);
  }

  /** Starts long work; see `tasks` of the client for what becomes of it. */
  startTask(request: TaskRequest, options?: CallOptions): Promise<Task> {
    return this.call({ method: 'POST', path: '/tasks', json: request }, options);
  }

  private call<T>(call: Omit<Call, 'path'> & { readonly path?: string }, options?: CallOptions): Promise<T> {
    const below = path`/collections/${this.name}`;
    return this.transport.json({ ...call, path: `${below}${call.path ?? ''}` }, options);
  }
}
