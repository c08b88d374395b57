import { closeSync, existsSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { WinnowError } from '../../errors.ts';
import { corrupt, notAnIndex } from '../format/errors.ts';

/*
 * LMDB maps its file and follows page numbers and offsets unchecked: a damaged one would end the process with a signal.
 * So the pages are checked before LMDB opens the file. Layout of data format 2 of the LMDB that lmdb-js bundles (liblmdb/mdb.c), on a
 * 64-bit little-endian machine.
 */

/** A page starts with: u64 own number, u64 transaction, u16 pad, u16 flags, u16 lower, u16 upper (or u32 pages). */
const PAGE = { number: 0, transaction: 8, flags: 18, lower: 20, upper: 22, pages: 20, header: 24 };
const FLAG = { branch: 1, leaf: 2, overflow: 4 };
/** Offsets in a meta page, of which pages 0 and 1 hold one each. */
const META = {
  magic: 24,
  pageSize: 48,
  freeTree: 48,
  mainTree: 96,
  lastPage: 144,
  transaction: 152,
  bytes: 160,
};
const MAGIC = 0xbeefc0de;
/** A tree record: u32 pad, u16 flags, u16 depth, 4 x u64 counts, u64 root page. */
const TREE = { depth: 6, leaves: 16, root: 40, bytes: 48 };
const NO_ROOT = 0xffff_ffff_ffff_ffffn;
/** A node: u16 low, u16 high, u16 flags, u16 key length, key, data; of a large value: u64 page, u64 transaction, u64 pages. */
const NODE = { flags: 4, keyLength: 6, data: 8, overflow: 24 };
const NODE_FLAG = { bigData: 1, tree: 2 };
const MAX_DEPTH = 32;
/** Transactions write the two meta pages alternately; numbers that are further apart than this are damage. */
const MAX_DISTANCE = 1_000_000n;
const FREE_PAGES = 'free pages';

/** Databases with an entry per document, so with many leaf pages. The others are checked in full each time they are opened. */
const PER_DOCUMENT = new Set(['documents', 'ids', 'sources']);
/** The database that every index has, whatever its format version. */
const MANIFEST = 'manifest';
/** Per-document databases of at most this many leaf pages (some ms) are checked in full, too. */
const FEW_LEAVES = 512;
/** Another process may commit while pages are read; an error counts as damage only if the file did not change meanwhile. */
const ATTEMPTS = 20;

/**
 * Checks that a file is an index, and the structure of its LMDB file: the meta pages, and the branch pages of every tree. Leaf pages
 * of per-document databases are only checked while there are at most 512 of them, so that the time to open an index does not grow
 * with it; they are also checked when `deep` is set, and when the file is shorter than its meta page says (LMDB leaves out free pages
 * at the end).
 *
 * @param create whether a missing or empty file is accepted, in which LMDB starts an index
 * @throws WinnowError WINNOW_INDEX_CORRUPT
 */
export function checkLmdbFile(file: string, { deep = false, create = false } = {}): void {
  if (create && !existsSync(file)) return;
  if (!statSync(file).isFile()) throw notAnIndex(file, 'it is not a file');
  const descriptor = openSync(file, 'r');
  try {
    for (let attempt = 1; ; attempt++) {
      const { size } = fstatSync(descriptor);
      if (size === 0) {
        if (create) return;
        throw notAnIndex(file, 'the file is empty: its creation was interrupted');
      }
      const meta = newestMeta(file, descriptor);
      try {
        const databases = new StructureCheck(file, descriptor, size, meta, deep).run();
        if (databases.has(MANIFEST) || (create && databases.size === 0)) return;
        throw notAnIndex(
          file,
          databases.size === 0
            ? 'it is an LMDB file without databases'
            : 'it is an LMDB file of another program',
        );
      } catch (error) {
        if (!(error instanceof WinnowError)) throw error;
        const changed = newestMeta(file, descriptor).compare(meta) !== 0;
        if (!changed) throw error;
        if (attempt === ATTEMPTS) return; // it changes all the time, so a process is able to write it
      }
    }
  } finally {
    closeSync(descriptor);
  }
}

function newestMeta(file: string, descriptor: number): Buffer {
  const read = (page: number, pageSize: number): Buffer => {
    const bytes = Buffer.alloc(META.bytes);
    readSync(descriptor, bytes, 0, META.bytes, page * pageSize);
    if (bytes.readUInt32LE(META.magic) !== MAGIC) throw notAnIndex(file, 'it is not an LMDB file');
    return bytes;
  };
  const first = read(0, 0);
  const pageSize = first.readUInt32LE(META.pageSize);
  if (pageSize < 256 || pageSize > 65_536 || (pageSize & (pageSize - 1)) !== 0)
    throw corrupt(file, `the file claims a page size of ${pageSize}`);
  const second = read(1, pageSize);
  if (second.readUInt32LE(META.pageSize) !== pageSize)
    throw corrupt(file, 'its two meta pages differ in page size');
  const [a, b] = [first.readBigUInt64LE(META.transaction), second.readBigUInt64LE(META.transaction)];
  if (a - b > MAX_DISTANCE || b - a > MAX_DISTANCE)
    throw corrupt(file, `its two meta pages are of transactions ${a} and ${b}`);
  return a > b ? first : second;
}

/** Length of a node; nodes fill a page from its end, without gaps. @param depth 1 for a leaf */
function nodeBytes(low: number, flags: number, keyLength: number, depth: number): number {
  const data = depth > 1 ? 0 : flags & NODE_FLAG.bigData ? NODE.overflow : low;
  const bytes = NODE.data + keyLength + data;
  return bytes + (bytes % 2);
}

class StructureCheck {
  private readonly file: string;
  private readonly descriptor: number;
  private readonly meta: Buffer;
  private readonly pageSize: number;
  /** Pages with a number from here on do not exist. */
  private readonly endPage: number;
  private readonly claimed: number;
  private readonly deep: boolean;
  /** By page: 1 when a tree refers to it, 2 when it is in the list of free pages. */
  private readonly use: Uint8Array;

  private readonly freeLists: Buffer[] = [];
  private readonly databases = new Set<string>();

  constructor(file: string, descriptor: number, size: number, meta: Buffer, deep: boolean) {
    this.file = file;
    this.descriptor = descriptor;
    this.meta = meta;
    this.pageSize = meta.readUInt32LE(META.pageSize);
    const claimed = Number(meta.readBigUInt64LE(META.lastPage)) + 1;
    const pages = Math.floor(size / this.pageSize);
    // The pages that are missing at the end were taken and freed in one transaction: they are not many.
    if (claimed > 2 * pages + 1024) throw corrupt(file, `the file has ${pages} pages and claims ${claimed}`);
    this.claimed = claimed;
    this.use = new Uint8Array(claimed);
    this.endPage = Math.min(claimed, pages);
    this.deep = deep || pages < claimed;
  }

  /** @returns names of the databases */
  run(): ReadonlySet<string> {
    this.tree(this.meta.subarray(META.mainTree, META.mainTree + TREE.bytes), 'databases', true);
    this.tree(this.meta.subarray(META.freeTree, META.freeTree + TREE.bytes), FREE_PAGES, true);
    for (const list of this.freeLists) this.freeList(list);
    return this.databases;
  }

  private tree(record: Buffer, name: string, leaves: boolean): void {
    const root = record.readBigUInt64LE(TREE.root);
    const depth = record.readUInt16LE(TREE.depth);
    if (root === NO_ROOT) return;
    if (depth === 0 || depth > MAX_DEPTH) throw this.damaged(name, `a depth of ${depth}`);
    this.page(Number(root), depth, name, leaves);
  }

  /** @param depth 1 for a leaf */
  private page(number: number, depth: number, name: string, leaves: boolean): void {
    if (number < 2 || number >= this.endPage)
      throw this.damaged(name, `page ${number} of ${this.endPage}: the file was cut short or damaged`);
    this.refer(number, 1, name);
    if (depth === 1 && !leaves) return;
    const page = this.read(number, this.pageSize);
    const flags = page.readUInt16LE(PAGE.flags);
    const wanted = depth === 1 ? FLAG.leaf : FLAG.branch;
    if (!this.isWritten(page, number) || flags !== wanted)
      throw this.damaged(name, `page ${number} is not what it should be`);
    const lower = page.readUInt16LE(PAGE.lower);
    const upper = page.readUInt16LE(PAGE.upper);
    const room = this.pageSize - PAGE.header;
    if (lower % 2 !== 0 || lower > upper || upper > room)
      throw this.damaged(name, `page ${number} has impossible bounds`);
    // Entries are read as 16-bit numbers: this runs once per process, uncompiled, and calls would take most of the time.
    const words = new Uint16Array(page.buffer, page.byteOffset, this.pageSize / 2);
    let bytes = 0;
    for (let i = 0; i < lower / 2; i++) {
      const at = words[PAGE.header / 2 + i]!;
      if (at < upper || at + NODE.data > room || at % 2 !== 0)
        throw this.damaged(name, `page ${number} points outside itself`);
      const word = (PAGE.header + at) / 2;
      const low = words[word]! + words[word + 1]! * 65_536;
      const flags = words[word + NODE.flags / 2]!;
      const keyLength = words[word + NODE.keyLength / 2]!;
      const isPlain = depth === 1 && flags === 0 && name !== FREE_PAGES;
      if (!isPlain) this.node(page.subarray(PAGE.header + at), number, depth, name, leaves);
      else if (at + NODE.data + keyLength + low > room) throw this.leaving(number, name);
      bytes += nodeBytes(low, flags, keyLength, depth);
    }
    // LMDB moves entries by their lengths when it changes a page, so a wrong length would overwrite memory.
    if (bytes !== room - upper)
      throw this.damaged(name, `page ${number} has entries of ${bytes} bytes in ${room - upper}`);
  }

  private node(node: Buffer, number: number, depth: number, name: string, leaves: boolean): void {
    const low = node.readUInt32LE(0);
    const flags = node.readUInt16LE(NODE.flags);
    const keyLength = node.readUInt16LE(NODE.keyLength);
    const outside = () => this.leaving(number, name);
    if (NODE.data + keyLength > node.length) throw outside();
    if (depth > 1) {
      this.page(low + flags * 2 ** 32, depth - 1, name, leaves);
      return;
    }
    const data = node.subarray(NODE.data + keyLength);
    if (flags & NODE_FLAG.bigData) {
      if (data.length < NODE.overflow) throw outside();
      const first = Number(data.readBigUInt64LE(0));
      this.overflow(first, low, name);
      if (name === FREE_PAGES) this.freeLists.push(this.read(first, PAGE.header + low).subarray(PAGE.header));
    } else if (data.length < low) {
      throw outside();
    } else if (name === FREE_PAGES) {
      this.freeLists.push(data.subarray(0, low));
    } else if (flags & NODE_FLAG.tree) {
      if (low !== TREE.bytes) throw outside();
      const child = node.toString('utf8', NODE.data, NODE.data + keyLength).replaceAll('\u0000', '');
      this.databases.add(child);
      const few = low === TREE.bytes && data.readBigUInt64LE(TREE.leaves) <= FEW_LEAVES;
      this.tree(data, child, this.deep || few || !PER_DOCUMENT.has(child));
    }
  }

  /** A large value, stored on pages of its own. */
  private overflow(number: number, bytes: number, name: string): void {
    const pages = Math.floor((PAGE.header - 1 + bytes) / this.pageSize) + 1;
    if (number < 2 || number + pages > this.endPage)
      throw this.damaged(
        name,
        `a value on page ${number} of ${this.endPage}: the file was cut short or damaged`,
      );
    this.refer(number, pages, name);
    const header = this.read(number, PAGE.header);
    const isOverflow = (header.readUInt16LE(PAGE.flags) & FLAG.overflow) !== 0;
    if (!isOverflow || !this.isWritten(header, number) || header.readUInt32LE(PAGE.pages) < pages)
      throw this.damaged(name, `page ${number} is not the start of a value`);
  }

  /** Marks pages that a tree refers to. No page belongs to two trees; a damaged tree may contain a cycle. */
  private refer(number: number, pages: number, name: string): void {
    for (let page = number; page < number + pages; page++) {
      if (this.use[page]) throw this.damaged(name, `page ${page}, which is another's already`);
      this.use[page] = 1;
    }
  }

  /**
   * A list of free pages: u64 count, then as many i64: 0 for padding, -n before the first page of a run of n, or a single page.
   * LMDB would reuse every page on it, even one in use.
   */
  private freeList(list: Buffer): void {
    const wrong = (what: string) => this.damaged(FREE_PAGES, what);
    const count = list.length < 8 ? -1 : Number(list.readBigUInt64LE(0));
    const end = 8 + 8 * count;
    if (count < 0 || end > list.length) throw wrong('a list of wrong length');
    let run = 1;
    for (let at = 8; at < end; at += 8) {
      const value = Number(list.readBigInt64LE(at));
      if (value === 0) continue;
      if (value < 0) {
        run = -value;
        continue;
      }
      if (value < 2 || value + run > this.claimed) throw wrong(`page ${value} of ${this.claimed} in it`);
      for (let page = value; page < value + run; page++) {
        if (this.use[page]) throw wrong(`page ${page} in it, which is in use or in it twice`);
        this.use[page] = 2;
      }
      run = 1;
    }
  }

  /** LMDB would write into a page whose transaction is later than the file's. */
  private isWritten(page: Buffer, number: number): boolean {
    const transaction = this.meta.readBigUInt64LE(META.transaction);
    return (
      page.readBigUInt64LE(PAGE.number) === BigInt(number) &&
      page.readBigUInt64LE(PAGE.transaction) <= transaction
    );
  }

  private read(number: number, bytes: number): Buffer {
    const page = Buffer.allocUnsafe(bytes);
    const got = readSync(this.descriptor, page, 0, bytes, number * this.pageSize);
    if (got < bytes) throw corrupt(this.file, `the file was cut short: page ${number} ends early`);
    return page;
  }

  private leaving(number: number, name: string): WinnowError {
    return this.damaged(name, `page ${number} has an entry that leaves it`);
  }

  private damaged(name: string, what: string): WinnowError {
    return corrupt(this.file, `the tree of "${name}" has ${what}`);
  }
}
