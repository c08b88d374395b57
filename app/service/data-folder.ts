import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { ClusterOptions } from '../../backends/opensearch/cluster.ts';
import { DeferredBackend } from '../../backends/opensearch/deferred-backend.ts';
import type { OpenSearchBackend } from '../../backends/opensearch/opensearch-backend.ts';
import { defined } from '../../defined.ts';
import { WinnowError } from '../../errors.ts';
import { makeFolder } from '../../indexer/store/files.ts';
import { withStorageErrors } from '../../indexer/store/storage-errors.ts';
import { lockForWriting } from '../../indexer/store/writer-lock.ts';
import type { SearchBackend } from '../../query/backend.ts';
import { requireFilterFields } from '../../query/check-arguments.ts';
import { badArgument } from '../../query/check-value.ts';
import { SharedEncoders } from '../../query/embedded/encoder-source.ts';
import { type OpenOptions, openEmbedded } from '../../query/embedded/open-embedded.ts';
import { CATALOG_FILE, Catalog, type CatalogEntry } from './catalog.ts';
import { Collection } from './collection.ts';
import type { CollectionSettings, NewCollection, NewCollectionEngine } from './types.ts';

/** How the indexes of collections are opened. */
export interface DataFolderOptions
  extends Pick<OpenOptions, 'model' | 'backend' | 'threads' | 'maxBatchTokens' | 'reranker' | 'readOnly'> {
  /** Cluster that collections may be in. Requests name indexes of it, and no other addresses: it is asked with the operator's secrets. */
  readonly cluster?: ClusterOptions;
}

/** Whether a folder is one that {@link DataFolder} made. */
const isDataFolder = (folder: string): boolean => existsSync(join(folder, CATALOG_FILE));

/**
 * The collections of one folder, each with an index of its own, which is opened when it is first used. One process writes to a data
 * folder; others may read it.
 */
export class DataFolder {
  readonly path: string;
  private readonly catalog: Catalog;
  private readonly options: DataFolderOptions;
  private readonly encoders: SharedEncoders;
  private readonly unlock: (() => void) | undefined;
  /** By the folder of their index, which stays the same when names are swapped. */
  private readonly opened = new Map<string, Collection>();

  /**
   * @param folder a data folder, or one that is empty or does not exist, which becomes one
   * @throws WinnowError WINNOW_INDEX_IN_USE naming the process that writes to it, WINNOW_ALREADY_EXISTS for a folder with other
   *   things in it, WINNOW_NOT_FOUND with `readOnly` where there is none, WINNOW_INDEX_CORRUPT, WINNOW_STORAGE
   */
  constructor(folder: string, options: DataFolderOptions = {}) {
    this.path = resolve(folder);
    this.options = options;
    this.encoders = new SharedEncoders(options);
    if (options.readOnly) {
      if (!isDataFolder(this.path)) throw noDataFolder(folder);
      this.catalog = new Catalog(this.path);
      return;
    }
    requireOwnFolder(this.path, folder);
    makeFolder(this.path);
    const unlock = lockForWriting(this.path);
    try {
      this.catalog = new Catalog(this.path);
      if (!isDataFolder(this.path)) this.catalog.create();
      for (const removed of this.catalog.removed) this.removeFiles(removed);
    } catch (error) {
      unlock();
      throw error;
    }
    this.unlock = unlock;
  }

  get names(): string[] {
    return this.catalog.names;
  }

  get aliases(): Readonly<Record<string, string>> {
    return this.catalog.aliases;
  }

  /** Those whose index is open. */
  get inUse(): Collection[] {
    return [...this.opened.values()].filter(({ isOpen }) => isOpen);
  }

  aliasesOf(name: string): string[] {
    return this.catalog.aliasesOf(name);
  }

  /** The name of the collection that a name or alias stands for. @throws WinnowError WINNOW_NOT_FOUND */
  resolve(name: string): string {
    return this.catalog.resolve(name);
  }

  /** By name or alias. @throws WinnowError WINNOW_NOT_FOUND */
  entry(name: string): CatalogEntry {
    return this.catalog.entry(this.resolve(name));
  }

  /** By name or alias. @throws WinnowError WINNOW_NOT_FOUND */
  collection(name: string): Collection {
    return this.ofFolder(this.entry(name).folder);
  }

  /**
   * @throws WinnowError WINNOW_ALREADY_EXISTS, WINNOW_BAD_ARGUMENT, WINNOW_MODEL_NOT_FOUND, WINNOW_STORAGE, WINNOW_UNSUPPORTED without a
   *   cluster, and errors of `openOpenSearch`; nothing was changed
   */
  async create({
    name,
    fields = [],
    model = this.options.model,
    vectors = true,
    engine,
    ...settings
  }: NewCollection): Promise<void> {
    this.requireWritable();
    requireFilterFields(fields);
    if (engine && !this.options.cluster)
      throw badArgument(
        'engine',
        'needs a cluster, and this server was started without one',
        'start it with: winnow serve DIR --url https://search-1:9200',
      );
    const isNew = true as const;
    const entry = this.catalog.add(name, { fields, vectors, settings, isNew, ...defined({ model, engine }) });
    try {
      const collection = this.ofFolder(entry.folder);
      collection.open();
      // The index of a cluster is made by the first call.
      if (engine) await collection.stats();
    } catch (error) {
      this.opened.delete(entry.folder);
      this.catalog.remove(name);
      this.removeFiles(entry.folder);
      throw error;
    }
  }

  /** Changes those settings that are given. @throws WinnowError WINNOW_NOT_FOUND, WINNOW_STORAGE */
  update(name: string, settings: CollectionSettings): void {
    this.requireWritable();
    const collection = this.resolve(name);
    this.catalog.change(collection, { ...this.catalog.entry(collection).settings, ...settings });
  }

  /**
   * Removes a collection, its aliases and its files. It is gone when the promise resolves, and what runs on it ends with
   * WINNOW_INDEX_CLOSED.
   *
   * @param name not an alias
   * @throws WinnowError WINNOW_NOT_FOUND, WINNOW_STORAGE
   */
  async remove(name: string): Promise<void> {
    this.requireWritable();
    const { folder } = this.catalog.remove(name);
    const collection = this.opened.get(folder);
    this.opened.delete(folder);
    await collection?.close();
    this.removeFiles(folder);
  }

  /** Exchanges what two names stand for, at once. @throws WinnowError WINNOW_NOT_FOUND, WINNOW_STORAGE */
  swap(name: string, other: string): void {
    this.requireWritable();
    this.catalog.swap(name, other);
  }

  /** @throws WinnowError WINNOW_NOT_FOUND, WINNOW_ALREADY_EXISTS, WINNOW_STORAGE */
  setAlias(alias: string, collection: string): void {
    this.requireWritable();
    this.catalog.setAlias(alias, this.resolve(collection));
  }

  /** @throws WinnowError WINNOW_NOT_FOUND, WINNOW_STORAGE */
  removeAlias(alias: string): void {
    this.requireWritable();
    this.catalog.removeAlias(alias);
  }

  /** Takes up what the process that writes has changed. */
  refresh(): void {
    if (this.options.readOnly) this.catalog.reload();
  }

  /** Ends all work. Never rejects. */
  async close(): Promise<void> {
    await Promise.all([...this.opened.values()].map((collection) => collection.close()));
    this.unlock?.();
  }

  private ofFolder(folder: string): Collection {
    const known = this.opened.get(folder);
    if (known) return known;
    const isRemote = this.entryOf(folder).engine !== undefined;
    const collection = new Collection(
      () => this.openIndex(folder),
      isRemote ? undefined : this.pathOf(folder),
    );
    this.opened.set(folder, collection);
    return collection;
  }

  /** Names may have been swapped since the collection was asked for. @throws WinnowError WINNOW_INDEX_CLOSED */
  private entryOf(folder: string): CatalogEntry & { readonly name: string } {
    const name = this.catalog.nameOf(folder);
    if (name === undefined) throw new WinnowError('WINNOW_INDEX_CLOSED', 'the collection was removed');
    return { ...this.catalog.entry(name), name };
  }

  private openIndex(folder: string): SearchBackend {
    const { name, fields, model, vectors, engine, isNew } = this.entryOf(folder);
    if (engine) return this.openRemote(folder, engine);
    const { readOnly, backend, threads, maxBatchTokens, reranker } = this.options;
    const options = { readOnly, backend, threads, maxBatchTokens, reranker };
    const common = { ...defined(options), backgroundWrites: true };
    const path = this.pathOf(folder);
    if (!isNew) return openEmbedded(path, { ...common, ...(model ? { model } : {}) }, this.encoders);
    const index = model === null ? { lexicalOnly: true } : defined({ model });
    const made = openEmbedded(
      path,
      { ...common, ...index, create: true, filterFields: fields, vectors },
      this.encoders,
    );
    this.catalog.made(name);
    return made;
  }

  private openRemote(folder: string, engine: NewCollectionEngine): SearchBackend {
    const { cluster, readOnly, backend, threads, maxBatchTokens, reranker } = this.options;
    const { model, fields } = this.entryOf(folder);
    if (!cluster)
      throw new WinnowError(
        'WINNOW_UNSUPPORTED',
        'the collection is in a cluster, and this server has none',
        {
          place: 'engine',
          hint: 'start it with: winnow serve DIR --url https://search-1:9200',
        },
      );
    const common = defined({ readOnly, backend, threads, maxBatchTokens, reranker });
    const open = async (): Promise<OpenSearchBackend> => {
      const { name, vectors, isNew } = this.entryOf(folder);
      // Loaded here: most data folders have no collection in a cluster, and the client is an optional package.
      const { openOpenSearch } = await import('../../backends/opensearch/open-opensearch.ts');
      const opened = await openOpenSearch(
        engine.index,
        {
          ...common,
          ...cluster,
          ...(model ? { model } : {}),
          ...(isNew
            ? { ...engine, create: true, filterFields: fields, vectors, lexicalOnly: model === null }
            : {}),
        },
        this.encoders,
      );
      if (isNew) this.catalog.made(name);
      return opened;
    };
    return new DeferredBackend(open, model ?? undefined);
  }

  private removeFiles(folder: string): void {
    withStorageErrors(this.path, () => rmSync(this.pathOf(folder), { recursive: true, force: true }));
    this.catalog.forget(folder);
  }

  private pathOf(folder: string): string {
    return join(this.path, 'collections', folder);
  }

  private requireWritable(): void {
    if (!this.options.readOnly) return;
    throw new WinnowError('WINNOW_INDEX_READ_ONLY', 'the data folder was opened for reading', {
      hint: 'ask the process that writes to it',
    });
  }
}

/** What may be in a folder that becomes a data folder: what starting a server in it leaves behind. */
const HARMLESS = /^(lost\+found|imports|snapshots|keys\.json|writer\.lock.*|.*\.partial|\.[^.].*)$/;

/** @throws WinnowError WINNOW_ALREADY_EXISTS for a folder with other things in it */
function requireOwnFolder(path: string, given: string): void {
  if (!existsSync(path) || isDataFolder(path)) return;
  const other = withStorageErrors(given, () => readdirSync(path)).find((name) => !HARMLESS.test(name));
  if (other === undefined) return;
  throw new WinnowError(
    'WINNOW_ALREADY_EXISTS',
    `the folder is no data folder and holds ${JSON.stringify(other)}`,
    {
      place: given,
      hint: `name an empty folder; if it was a data folder, put back its ${CATALOG_FILE}`,
    },
  );
}

const noDataFolder = (folder: string): WinnowError =>
  new WinnowError('WINNOW_NOT_FOUND', 'there is no data folder here', {
    place: folder,
    hint: 'start it without --read-only to make one',
  });
