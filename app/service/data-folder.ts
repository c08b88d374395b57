import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { defined } from '../../defined.ts';
import { WinnowError } from '../../errors.ts';
import { makeFolder } from '../../indexer/store/files.ts';
import { withStorageErrors } from '../../indexer/store/storage-errors.ts';
import { lockForWriting } from '../../indexer/store/writer-lock.ts';
import { requireFilterFields } from '../../query/check-arguments.ts';
import type { EmbeddedBackend } from '../../query/embedded/embedded-backend.ts';
import { SharedEncoders } from '../../query/embedded/encoder-source.ts';
import { type OpenOptions, openEmbedded } from '../../query/embedded/open-embedded.ts';
import { CATALOG_FILE, Catalog, type CatalogEntry } from './catalog.ts';
import { Collection } from './collection.ts';
import type { CollectionSettings, NewCollection } from './types.ts';

/** How the indexes of collections are opened. */
export type DataFolderOptions = Pick<
  OpenOptions,
  'model' | 'backend' | 'threads' | 'maxBatchTokens' | 'reranker' | 'readOnly'
>;

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

  /** @throws WinnowError WINNOW_ALREADY_EXISTS, WINNOW_BAD_ARGUMENT, WINNOW_MODEL_NOT_FOUND, WINNOW_STORAGE; nothing was changed */
  create({
    name,
    fields = [],
    model = this.options.model,
    vectors = true,
    ...settings
  }: NewCollection): void {
    this.requireWritable();
    requireFilterFields(fields);
    const entry = this.catalog.add(name, { fields, vectors, settings, isNew: true, ...defined({ model }) });
    try {
      this.ofFolder(entry.folder).open();
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
    const collection = new Collection(() => this.openIndex(folder), this.pathOf(folder));
    this.opened.set(folder, collection);
    return collection;
  }

  private openIndex(folder: string): EmbeddedBackend {
    // Names may have been swapped since the collection was asked for.
    const name = this.catalog.nameOf(folder);
    if (name === undefined) throw new WinnowError('WINNOW_INDEX_CLOSED', 'the collection was removed');
    const { fields, model, vectors, isNew } = this.catalog.entry(name);
    const { readOnly, backend, threads, maxBatchTokens, reranker } = this.options;
    const common = defined({ readOnly, backend, threads, maxBatchTokens, reranker });
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
