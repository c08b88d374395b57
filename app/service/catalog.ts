import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { WinnowError } from '../../errors.ts';
import type { FilterField } from '../../indexer/types.ts';
import { damagedState, readState, writeState } from './state-file.ts';
import type { CollectionSettings, NewCollectionEngine } from './types.ts';

/** In a data folder: what its collections are called and where they are. */
export const CATALOG_FILE = 'service.json';

const VERSION = 1;

/** A collection as the catalog knows it. */
export interface CatalogEntry {
  /** Name of its folder in `collections/`; it stays the same when names are swapped. */
  readonly folder: string;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
  readonly fields: readonly FilterField[];
  /** Bundled name or folder; null: words alone; absent: the one that its index names. */
  readonly model?: string | null;
  readonly vectors: boolean;
  readonly settings: CollectionSettings;
  /** Absent: a file in its folder. */
  readonly engine?: NewCollectionEngine;
  /** Its index has not been made yet. */
  readonly isNew?: true;
}

interface State {
  readonly version: number;
  readonly collections: Readonly<Record<string, CatalogEntry>>;
  /** Collection by alias. */
  readonly aliases: Readonly<Record<string, string>>;
  /** Folders of deleted collections that may still be there. */
  readonly removed: readonly string[];
}

/**
 * The collections and aliases of a data folder. Every change is one replacement of one file, so that each happens as a whole or not
 * at all, and is on disk when the call returns.
 */
export class Catalog {
  private readonly file: string;
  private state: State;

  /** @throws WinnowError WINNOW_INDEX_CORRUPT, WINNOW_INDEX_VERSION, WINNOW_STORAGE */
  constructor(folder: string) {
    this.file = join(folder, CATALOG_FILE);
    this.state = checked(readState(this.file), this.file);
  }

  /** Writes the file where there is none, which makes the folder a data folder. */
  create(): void {
    this.replace({});
  }

  /** Takes up what another process has changed. */
  reload(): void {
    this.state = checked(readState(this.file), this.file);
  }

  get names(): string[] {
    return Object.keys(this.state.collections).sort();
  }

  get aliases(): Readonly<Record<string, string>> {
    return this.state.aliases;
  }

  /** Folders to remove. */
  get removed(): readonly string[] {
    return this.state.removed;
  }

  aliasesOf(name: string): string[] {
    return Object.entries(this.state.aliases)
      .filter(([, target]) => target === name)
      .map(([alias]) => alias)
      .sort();
  }

  /** The name of the collection that a name or alias stands for. @throws WinnowError WINNOW_NOT_FOUND */
  resolve(name: string): string {
    const target = own(this.state.aliases, name) ?? name;
    if (own(this.state.collections, target)) return target;
    throw new WinnowError('WINNOW_NOT_FOUND', `no collection "${name.slice(0, 80)}"`, {
      place: 'collection',
      hint: 'create it with POST /v1/collections',
    });
  }

  /** By name, not by alias. @throws WinnowError WINNOW_NOT_FOUND */
  entry(name: string): CatalogEntry {
    return this.state.collections[this.requireCollection(name)]!;
  }

  /** @throws WinnowError WINNOW_ALREADY_EXISTS, WINNOW_STORAGE */
  add(name: string, entry: Omit<CatalogEntry, 'folder' | 'createdAt'>): CatalogEntry {
    this.requireFree(name);
    const added: CatalogEntry = {
      folder: `c-${randomBytes(6).toString('hex')}`,
      createdAt: new Date().toISOString(),
      ...entry,
    };
    this.replace({ collections: { ...this.state.collections, [name]: added } });
    return added;
  }

  change(name: string, settings: CollectionSettings): void {
    this.put(name, { ...this.entry(name), settings });
  }

  /** The name of the collection in a folder; undefined when it was removed. */
  nameOf(folder: string): string | undefined {
    return Object.entries(this.state.collections).find(([, entry]) => entry.folder === folder)?.[0];
  }

  /** The index of a new collection is there. */
  made(name: string): void {
    const { isNew: _, ...entry } = this.entry(name);
    this.put(name, entry);
  }

  /** Removes a collection and its aliases. Its folder is in {@link removed} from then on, until {@link forget}. */
  remove(name: string): CatalogEntry {
    const entry = this.entry(name);
    const { [name]: _, ...collections } = this.state.collections;
    const aliases = Object.fromEntries(
      Object.entries(this.state.aliases).filter(([, target]) => target !== name),
    );
    this.replace({ collections, aliases, removed: [...this.state.removed, entry.folder] });
    return entry;
  }

  forget(folder: string): void {
    this.replace({ removed: this.state.removed.filter((one) => one !== folder) });
  }

  /** Exchanges what two names stand for, settings included. Aliases keep their names. */
  swap(name: string, other: string): void {
    const [a, b] = [this.entry(name), this.entry(other)];
    this.replace({ collections: { ...this.state.collections, [name]: b, [other]: a } });
  }

  /** Makes an alias, or makes it stand for another collection. @throws WinnowError WINNOW_ALREADY_EXISTS for the name of a collection */
  setAlias(alias: string, collection: string): void {
    this.requireCollection(collection);
    if (own(this.state.collections, alias)) throw exists(alias, 'collection');
    this.replace({ aliases: { ...this.state.aliases, [alias]: collection } });
  }

  /** @throws WinnowError WINNOW_NOT_FOUND */
  removeAlias(alias: string): void {
    if (!own(this.state.aliases, alias))
      throw new WinnowError('WINNOW_NOT_FOUND', `no alias "${alias}"`, { place: 'alias' });
    const { [alias]: _, ...aliases } = this.state.aliases;
    this.replace({ aliases });
  }

  private put(name: string, entry: CatalogEntry): void {
    this.replace({ collections: { ...this.state.collections, [name]: entry } });
  }

  private requireCollection(name: string): string {
    if (own(this.state.collections, name)) return name;
    const target = own(this.state.aliases, name);
    throw new WinnowError('WINNOW_NOT_FOUND', `no collection "${name.slice(0, 80)}"`, {
      place: 'collection',
      hint:
        target === undefined
          ? 'create it with POST /v1/collections'
          : `it is an alias; the collection is "${target}"`,
    });
  }

  private requireFree(name: string): void {
    if (own(this.state.collections, name)) throw exists(name, 'collection');
    if (own(this.state.aliases, name)) throw exists(name, 'alias');
  }

  /** What is in memory changes only when the file has. */
  private replace(changes: Partial<State>): void {
    const next = { ...this.state, ...changes };
    writeState(this.file, next);
    this.state = next;
  }
}

/** Names such as `constructor` are no properties of their own. */
const own = <T>(record: Readonly<Record<string, T>>, name: string): T | undefined =>
  Object.hasOwn(record, name) ? record[name] : undefined;

const exists = (name: string, kind: string): WinnowError =>
  new WinnowError(
    'WINNOW_ALREADY_EXISTS',
    `"${name}" is the name of ${kind === 'alias' ? 'an' : 'a'} ${kind}`,
    {
      place: 'name',
      hint: 'choose another name',
    },
  );

function checked(state: unknown, file: string): State {
  if (state === undefined) return { version: VERSION, collections: {}, aliases: {}, removed: [] };
  const { version, collections, aliases, removed } = (state ?? {}) as Partial<State>;
  if (typeof version === 'number' && version > VERSION)
    throw new WinnowError('WINNOW_INDEX_VERSION', `the file has version ${version}, this is for ${VERSION}`, {
      place: file,
      hint: 'use the version of Winnow that wrote it',
    });
  const isRecord = (value: unknown) => typeof value === 'object' && value !== null && !Array.isArray(value);
  if (version !== VERSION || !isRecord(collections) || !isRecord(aliases) || !Array.isArray(removed))
    throw damagedState(file, 'it lacks collections, aliases or its version');
  // A folder is one name, so that no file can make the service remove something else.
  for (const [name, entry] of Object.entries(collections!))
    if (!isRecord(entry) || !/^c-[0-9a-f]{12}$/.test(entry.folder))
      throw damagedState(file, `collection "${name}" has no folder`);
  if (!removed.every((folder) => /^c-[0-9a-f]{12}$/.test(folder)))
    throw damagedState(file, 'a removed folder has another name');
  return state as State;
}
