import type { CatalogEntry } from './catalog.ts';
import type { Collection } from './collection.ts';
import type { CollectionSettings, NewCollection } from './types.ts';

/** Where collections come from. */
export interface CollectionHost {
  /** Of its files, those of tasks among them; undefined where nothing is kept. */
  readonly path: string | undefined;
  readonly names: readonly string[];
  readonly aliases: Readonly<Record<string, string>>;
  /** Collections whose index is open. */
  readonly inUse: readonly Collection[];
  aliasesOf(name: string): string[];
  resolve(name: string): string;
  entry(name: string): Omit<CatalogEntry, 'folder' | 'fields' | 'vectors'>;
  collection(name: string): Collection;
  create(collection: NewCollection): Promise<void>;
  update(name: string, settings: CollectionSettings): void;
  remove(name: string): Promise<void>;
  swap(name: string, other: string): void;
  setAlias(alias: string, collection: string): void;
  removeAlias(alias: string): void;
  refresh(): void;
  close(): Promise<void>;
}
