import { WinnowError } from '../../errors.ts';
import type { SearchBackend } from '../../query/backend.ts';
import type { CatalogEntry } from './catalog.ts';
import { Collection } from './collection.ts';
import type { CollectionHost } from './collection-host.ts';

/** The name of the collection where a server has one index. */
const SINGLE_COLLECTION = 'default';

/** One index as the only collection. */
export class SingleIndex implements CollectionHost {
  readonly names = [SINGLE_COLLECTION];
  readonly aliases = {};
  readonly path = undefined;
  private readonly only: Collection;
  private readonly isOwner: boolean;
  private readonly createdAt = new Date().toISOString();

  /**
   * @param open the index, or returns a backend that is open
   * @param folder of the index; undefined: the backend stays the caller's, who closes it
   */
  constructor(open: () => SearchBackend, folder?: string) {
    this.only = new Collection(open, folder);
    this.isOwner = folder !== undefined;
  }

  get inUse(): Collection[] {
    return this.only.isOpen ? [this.only] : [];
  }

  aliasesOf(): string[] {
    return [];
  }

  resolve(name: string): string {
    if (name === SINGLE_COLLECTION) return name;
    throw new WinnowError('WINNOW_NOT_FOUND', `no collection "${name.slice(0, 80)}"`, {
      place: 'collection',
      hint: `this server has one index, the collection "${SINGLE_COLLECTION}"`,
    });
  }

  entry(name: string): Omit<CatalogEntry, 'folder' | 'fields' | 'vectors'> {
    this.resolve(name);
    return { createdAt: this.createdAt, settings: {} };
  }

  collection(name: string): Collection {
    this.resolve(name);
    return this.only;
  }

  async create(): Promise<never> {
    throw oneIndex();
  }

  update(): never {
    throw oneIndex();
  }

  async remove(): Promise<never> {
    throw oneIndex();
  }

  swap(): never {
    throw oneIndex();
  }

  setAlias(): never {
    throw oneIndex();
  }

  removeAlias(): never {
    throw oneIndex();
  }

  refresh(): void {}

  async close(): Promise<void> {
    if (this.isOwner) await this.only.close();
  }
}

const oneIndex = (): WinnowError =>
  new WinnowError('WINNOW_UNSUPPORTED', 'this server has one index and no other collections', {
    hint: 'start it with a data folder: winnow serve NEW-FOLDER',
  });
