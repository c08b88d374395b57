import { join } from 'node:path';
import type { Metadata } from '../../corpus/types.ts';
import { WinnowError } from '../../errors.ts';
import type { DocumentRef } from '../../indexer/format/stored-id.ts';
import type { StoredRecord, StoredSource } from '../../indexer/store/records.ts';
import type { EncodedText, EncodeKind, SearchBackend } from '../../query/backend.ts';
import { badArgument } from '../../query/check-value.ts';
import { openEmbedded } from '../../query/embedded/open-embedded.ts';
import type { ExplainRequest, Filter, SearchRequest } from '../../query/request.ts';
import type { Explanation, SearchResponse } from '../../query/response.ts';
import { TimeSlices } from '../../query/time-slices.ts';
import type { Collection } from './collection.ts';
import { collectionInfo, collectionStats } from './collection-figures.ts';
import type { CollectionHost } from './collection-host.ts';
import { DataFolder, type DataFolderOptions } from './data-folder.ts';
import type { GuardedBackend } from './guarded-backend.ts';
import { SingleIndex } from './single-index.ts';
import { TaskQueue } from './task-queue.ts';
import { checkTask, runTask, type TaskSurroundings } from './task-runners.ts';
import type {
  CollectionInfo,
  CollectionSettings,
  CollectionStats,
  NewCollection,
  SearchQuery,
  Task,
  TaskRequest,
} from './types.ts';
import { DocumentWriter, type WriteOptions } from './write-documents.ts';

export interface ServiceOptions extends TaskSurroundings {
  /** Gets errors of tasks that are the program's own fault. */
  readonly onError?: (error: unknown) => void;
  /** File of tasks of a service over one index; a data folder has its own. */
  readonly taskFile?: string;
}

/** Documents that are deleted in one commit. */
const DELETE_BATCH = 1_000;

/**
 * What a server does, without HTTP: collections with their documents, searches and tasks. Collections are named by name or alias.
 * All errors are WinnowErrors; WINNOW_NOT_FOUND for a collection that does not exist.
 */
export class SearchService {
  readonly collections: CollectionHost;
  readonly tasks: TaskQueue;
  private readonly options: ServiceOptions;
  private closing: Promise<void> | undefined;

  constructor(collections: CollectionHost, options: ServiceOptions = {}) {
    this.collections = collections;
    this.options = options;
    const file = collections.path === undefined ? options.taskFile : join(collections.path, 'tasks.json');
    this.tasks = new TaskQueue(
      file,
      (name, request, context) =>
        runTask(name, this.collections.collection(name), request, this.options, context),
      options.onError,
    );
    this.tasks.start();
  }

  /**
   * Opens a data folder, or makes one of an empty or missing folder. Imports and snapshots are in it unless options name others.
   *
   * @throws WinnowError of {@link DataFolder}, WINNOW_INDEX_CORRUPT for a damaged file of tasks
   */
  static openFolder(
    folder: string,
    { imports, snapshots, onError, taskFile: _, ...rest }: ServiceOptions & DataFolderOptions = {},
  ): SearchService {
    const host = new DataFolder(folder, rest);
    try {
      return new SearchService(host, {
        ...rest,
        imports: imports ?? join(host.path, 'imports'),
        snapshots: snapshots ?? join(host.path, 'snapshots'),
        ...(onError ? { onError } : {}),
      });
    } catch (error) {
      void host.close();
      throw error;
    }
  }

  /** One index folder as the only collection; made where there is none. @throws WinnowError of {@link openEmbedded} */
  static openIndex(folder: string, options: ServiceOptions & DataFolderOptions = {}): SearchService {
    const { model, backend, threads, maxBatchTokens, reranker, readOnly = false } = options;
    const given = Object.entries({ model, backend, threads, maxBatchTokens, reranker, readOnly });
    const opening = Object.fromEntries(given.filter(([, value]) => value !== undefined));
    const open = () => openEmbedded(folder, { ...opening, create: !readOnly, backgroundWrites: true });
    const host = new SingleIndex(open, folder);
    host.collection(host.names[0]!).open();
    return new SearchService(host, options);
  }

  /** A backend that is open and stays the caller's, as the only collection. */
  static ofBackend(backend: SearchBackend, options: ServiceOptions = {}): SearchService {
    const host = new SingleIndex(() => backend);
    host.collection(host.names[0]!).open();
    return new SearchService(host, options);
  }

  /** The backend of a service over one index; undefined for a data folder. */
  get single(): GuardedBackend | undefined {
    return this.collections instanceof SingleIndex ? this.backend(this.collections.names[0]!) : undefined;
  }

  /** Collections whose index is open. */
  get openCollections(): { readonly name: string; readonly backend: GuardedBackend }[] {
    return this.collections.names
      .map((name) => ({ name, collection: this.collections.collection(name) }))
      .filter(({ collection }) => collection.isOpen)
      .map(({ name, collection }) => ({ name, backend: collection.backend }));
  }

  /** Collections whose health is that of the service: those that are open, and all that a cluster holds, used yet or not. */
  private get watched(): ReadonlySet<Collection> {
    const remote = this.collections.names.filter((name) => this.collections.entry(name).engine);
    return new Set([...this.collections.inUse, ...remote.map((name) => this.collections.collection(name))]);
  }

  /** Names and lengths of what waits: batches of documents, and tasks. */
  get queues(): { readonly name: string; readonly length: number }[] {
    return [
      ...this.collections.inUse.map(({ commits }) => commits),
      { name: 'tasks', length: this.tasks.length },
    ];
  }

  /** By name. A collection whose index cannot be used is listed with its error. */
  async list(): Promise<CollectionInfo[]> {
    const infos: CollectionInfo[] = [];
    for (const name of this.collections.names) infos.push(await collectionInfo(this.collections, name));
    return infos;
  }

  async info(name: string): Promise<CollectionInfo> {
    return collectionInfo(this.collections, this.collections.resolve(name));
  }

  async stats(name: string): Promise<CollectionStats> {
    return collectionStats(this.collections, this.collections.resolve(name));
  }

  async create(collection: NewCollection): Promise<CollectionInfo> {
    await this.collections.create(collection);
    return this.info(collection.name);
  }

  async update(name: string, settings: CollectionSettings): Promise<CollectionInfo> {
    this.collections.update(name, settings);
    return this.info(name);
  }

  /** The backend of a collection, the same for its life. */
  backend(name: string): GuardedBackend {
    return this.collections.collection(name).backend;
  }

  /** A request as the backend takes it: with the collection's default mode, and words for a query that is a vector alone. */
  searchRequest(name: string, { query, ...options }: SearchQuery): SearchRequest {
    const { defaultMode } = this.collections.entry(name).settings;
    const mode = options.mode ?? (options.vector ? 'sparse' : defaultMode);
    const asked = { ...options, ...(mode === undefined ? {} : { mode }) };
    if (query !== undefined) return { ...asked, query };
    if (!options.vector) throw badArgument('query', 'is missing', 'give a query, a vector, or both');
    if (mode !== 'sparse' || options.rerank)
      throw badArgument(
        'query',
        `is needed for ${options.rerank ? 'rerank' : `mode ${mode}`}`,
        'a vector has no words',
      );
    return { ...asked, query: wordsOf(options.vector), syntax: 'plain' };
  }

  /** @throws WinnowError of `SearchBackend.search` */
  async search(name: string, request: SearchQuery, signal?: AbortSignal): Promise<SearchResponse> {
    return this.backend(name).search(this.searchRequest(name, request), signal);
  }

  async explain(name: string, request: ExplainRequest, signal?: AbortSignal): Promise<Explanation> {
    return this.backend(name).explain(request, signal);
  }

  /** @throws WinnowError WINNOW_UNSUPPORTED, also for documents of a collection without a model */
  async encode(
    name: string,
    texts: readonly string[],
    kind: EncodeKind,
    signal?: AbortSignal,
  ): Promise<readonly EncodedText[]> {
    return this.backend(name).encode(texts, kind, signal);
  }

  /** Writes documents as they come; see {@link DocumentWriter}. */
  writer(name: string, options?: WriteOptions): DocumentWriter {
    return new DocumentWriter(this.collections.collection(name), options);
  }

  /** @throws WinnowError WINNOW_NOT_FOUND */
  async get(name: string, document: DocumentRef): Promise<StoredRecord | StoredSource> {
    const found = await this.backend(name).get(document);
    if (found) return found;
    throw noDocument(document);
  }

  /** @param changes values by name; null removes a name @throws WinnowError WINNOW_NOT_FOUND, WINNOW_BAD_ROW */
  async updateMetadata(name: string, id: string, changes: Metadata): Promise<StoredRecord | StoredSource> {
    const found = await this.backend(name).updateMetadata(id, changes);
    if (!found) throw noDocument(id);
    return this.get(name, id);
  }

  /** @returns how many the collection had */
  async delete(name: string, documents: readonly DocumentRef[]): Promise<number> {
    return (await this.backend(name).write({ deletes: documents })).deleted;
  }

  /** @throws WinnowError WINNOW_NOT_FOUND when the collection does not have it */
  async deleteOne(name: string, document: DocumentRef): Promise<number> {
    const deleted = await this.delete(name, [document]);
    if (deleted === 0) throw noDocument(document);
    return deleted;
  }

  /** Deletes all documents that match, in several commits. @returns how many */
  async deleteMatching(name: string, filter: Filter): Promise<number> {
    const backend = this.backend(name);
    const ids = await backend.sourcesMatching(filter);
    const slices = new TimeSlices();
    let deleted = 0;
    for (let at = 0; at < ids.length; at += DELETE_BATCH) {
      deleted += (await backend.write({ deletes: ids.slice(at, at + DELETE_BATCH) })).deleted;
      await slices.pause();
    }
    return deleted;
  }

  /** All documents, passages joined. Those that are written meanwhile may or may not appear. */
  async *export(name: string): AsyncGenerator<StoredRecord | StoredSource> {
    const backend = this.backend(name);
    const slices = new TimeSlices();
    // Ids first: no read of the index may stay open while a client is slow.
    const ids: string[] = [];
    for await (const id of backend.sourceIds()) {
      ids.push(id);
      await slices.pause();
    }
    for (const id of ids) {
      const document = await backend.get(id);
      if (document) yield document;
      await slices.pause();
    }
  }

  /** @throws WinnowError of {@link checkTask} and `TaskQueue.add` */
  addTask(name: string, request: TaskRequest): Task {
    const collection = this.collections.resolve(name);
    checkTask(request, this.options);
    return this.tasks.add(collection, request);
  }

  /** Looks at every open index, which lets go of old views. @throws WinnowError WINNOW_UNHEALTHY for the first that is gone */
  async health(): Promise<{ readonly maintenanceError?: WinnowError }> {
    this.collections.refresh();
    let maintenanceError: WinnowError | undefined;
    for (const { backend } of this.watched) maintenanceError ??= (await backend.health()).maintenanceError;
    return maintenanceError ? { maintenanceError } : {};
  }

  /** Ends all work; the running task is queued again. Never rejects; later calls return the same promise. */
  close(): Promise<void> {
    // Together: a task ends at once where its index does.
    this.closing ??= Promise.all([this.tasks.close(), this.collections.close()]).then(() => {});
    return this.closing;
  }
}

function wordsOf(vector: Readonly<Record<string, number>>): string {
  const tokens = Object.entries(vector).sort(([, a], [, b]) => b - a);
  const words = tokens.map(([token]) => token).filter((token) => !token.startsWith('##'));
  return words.join(' ').slice(0, 10_000) || ' ';
}

function noDocument(document: DocumentRef): WinnowError {
  const { id, passage } = typeof document === 'string' ? { id: document } : document;
  const what = passage === undefined ? `document "${id}"` : `passage ${passage} of document "${id}"`;
  return new WinnowError('WINNOW_NOT_FOUND', `no ${what}`, { place: 'id' });
}
