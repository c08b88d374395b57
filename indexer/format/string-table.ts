import { bytesOf, viewU32 } from './bytes.ts';
import { corrupt } from './errors.ts';
import { lowerBound } from './lower-bound.ts';

/** Concatenated strings as UTF-8, and their u32 offsets (n + 1 of them). */
export type EncodedStrings = readonly [offsets: Uint8Array, bytes: Uint8Array];

export function encodeStrings(strings: readonly string[]): EncodedStrings {
  const joined = Buffer.from(strings.join(''), 'utf8');
  const offsets = new Uint32Array(strings.length + 1);
  if (joined.length === strings.reduce((sum, { length }) => sum + length, 0)) {
    for (let i = 0; i < strings.length; i++) offsets[i + 1] = offsets[i]! + strings[i]!.length; // all ASCII
    return [bytesOf(offsets), joined];
  }
  const encoded = strings.map((string) => Buffer.from(string, 'utf8'));
  encoded.forEach((bytes, i) => {
    offsets[i + 1] = offsets[i]! + bytes.length;
  });
  return [bytesOf(offsets), Buffer.concat(encoded)];
}

const FOUND_LIMIT = 4096;

/** Read access to {@link encodeStrings}; strings are decoded one at a time. */
export class StringTable {
  readonly length: number;
  private readonly offsets: Uint32Array;
  private readonly bytes: Buffer;
  /** Results of recent searches: words of queries repeat. */
  private readonly found = new Map<string, number>();

  /** @throws WinnowError WINNOW_INDEX_CORRUPT when the offsets leave the bytes */
  constructor(offsets: Uint8Array, bytes: Uint8Array, place: string) {
    if (offsets.length < 4 || offsets.length % 4 !== 0) throw corrupt(place, 'string offsets are cut short');
    this.offsets = viewU32(offsets, 0, offsets.length / 4);
    this.length = this.offsets.length - 1;
    if (this.offsets[this.length] !== bytes.length)
      throw corrupt(place, 'string offsets do not end where the bytes end');
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  get(index: number): string {
    return this.bytes.toString('utf8', this.offsets[index]!, this.offsets[index + 1]!);
  }

  /** Index of `string` in a table sorted by UTF-8 bytes, or -1. */
  find(string: string): number {
    const known = this.found.get(string);
    if (known !== undefined) return known;
    const at = this.search(string);
    if (this.found.size >= FOUND_LIMIT) this.found.clear();
    this.found.set(string, at);
    return at;
  }

  private search(string: string): number {
    const wanted = Buffer.from(string, 'utf8');
    const orderOf = (index: number): number =>
      this.bytes.compare(wanted, 0, wanted.length, this.offsets[index]!, this.offsets[index + 1]!);
    const index = lowerBound(this.length, (index) => orderOf(index) < 0);
    return index < this.length && orderOf(index) === 0 ? index : -1;
  }

  /** UTF-8 of a string (a view). */
  bytesAt(index: number): Uint8Array {
    return this.bytes.subarray(this.offsets[index]!, this.offsets[index + 1]!);
  }

  /** Byte order of two strings, of this table and another. */
  compare(index: number, other: StringTable, otherIndex: number): number {
    return this.bytes.compare(
      other.bytes,
      other.offsets[otherIndex]!,
      other.offsets[otherIndex + 1]!,
      this.offsets[index]!,
      this.offsets[index + 1]!,
    );
  }

  toArray(): string[] {
    return Array.from({ length: this.length }, (_, i) => this.get(i));
  }
}

/** Byte order of UTF-8, the order of {@link StringTable.find}. */
export const compareUtf8 = (a: string, b: string): number =>
  Buffer.compare(Buffer.from(a, 'utf8'), Buffer.from(b, 'utf8'));

/** Sorts in place into the order of {@link compareUtf8}. */
export function sortUtf8(strings: string[]): string[] {
  // Without surrogates the order of UTF-16, which needs no encoding, is the same.
  return strings.some((string) => /[\ud800-\udfff]/.test(string))
    ? strings.sort(compareUtf8)
    : strings.sort();
}

/** Copies strings of several tables into one. */
export class StringCollector {
  private readonly offsets: Uint32Array;
  private bytes = Buffer.alloc(1024);
  private count = 0;

  /** @param capacity largest number of strings */
  constructor(capacity: number) {
    this.offsets = new Uint32Array(capacity + 1);
  }

  add(table: StringTable, index: number): void {
    const string = table.bytesAt(index);
    const at = this.offsets[this.count]!;
    const end = at + string.length;
    if (end > this.bytes.length) {
      const larger = Buffer.alloc(Math.max(end, 2 * this.bytes.length));
      this.bytes.copy(larger, 0, 0, at);
      this.bytes = larger;
    }
    this.bytes.set(string, at);
    this.offsets[++this.count] = end;
  }

  encoded(): EncodedStrings {
    const offsets = this.offsets.subarray(0, this.count + 1);
    return [bytesOf(offsets), this.bytes.subarray(0, offsets[this.count])];
  }
}
