import { crc32 } from 'node:zlib';
import { WinnowError } from '../errors.ts';

/** Version of everything that FORMAT.md describes; an index of another version is refused, never guessed at. */
export const FORMAT_VERSION = 4;

/** Older versions that `winnow upgrade` reads. */
export const UPGRADABLE: readonly number[] = [2, 3];

/** Arrays inside a part start at multiples of this many bytes, so that SIMD loads and typed-array views are aligned. */
export const ALIGNMENT = 64;

/** A chunk of a posting list: documents `chunk << 16` to `(chunk << 16) + 65535`, so that a local id fits 16 bits. */
export const CHUNK_BITS = 16;

/** A list with at least `numDocs * DENSE_FRACTION` postings is stored as one byte a document (engines notes: 2.7-3.3x). */
export const DENSE_FRACTION = 0.1;

/** What a part of a segment holds. Stored on disk: do not renumber. */
export const PartKind = {
  Impacts: 1,
  Lexical: 2,
  Forward: 3,
  Documents: 4,
  Terms: 5,
  Words: 6,
  Fields: 7,
  Maxima: 8,
  InText: 9,
} as const;
export type PartKind = (typeof PartKind)[keyof typeof PartKind];

/** Type of a filterable metadata field. Stored on disk: do not renumber. */
export const FilterType = {
  string: 0,
  number: 1,
  boolean: 2,
  date: 3,
  year: 4,
  'epoch-s': 5,
  'epoch-ms': 6,
} as const;
export type FilterTypeName = keyof typeof FilterType;

/** lmdb-js hands out values from this size on as views of the memory map, smaller ones from a shared buffer. */
export const ZERO_COPY_BYTES = 16 * 1024 * 1024;

/** Largest impact: weights are stored as `round(weight / impactScale)` in 1..255. */
export const MAX_IMPACT = 255;

export const alignUp = (bytes: number): number => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;

/** @param before checksum of what stands before the bytes */
export const checksum = (bytes: Uint8Array | string, before = 0): number => crc32(bytes, before);

/** The error of every failed checksum or bounds check, naming the part and the way out. */
export function corrupt(place: string, message: string): WinnowError {
  return new WinnowError('WINNOW_INDEX_CORRUPT', message, {
    place,
    hint: 'drop what is damaged with `winnow doctor --repair --index DIR`, restore a snapshot, or delete the index folder and run `winnow index` again',
  });
}

/** The error of a file in an index's place that is none, or none any more as a whole: nothing of it can be used. */
export function notAnIndex(file: string, message: string): WinnowError {
  return new WinnowError('WINNOW_INDEX_CORRUPT', `this is not an index: ${message}`, {
    place: file,
    hint: 'name the folder of an index, restore a snapshot with `winnow restore SNAPSHOT --index DIR --overwrite`, or delete the folder and run `winnow index` again',
  });
}

/** Bytes viewed as another element type; the caller guarantees bounds, {@link ALIGNMENT} guarantees alignment. */
export function viewU32(bytes: Uint8Array, offset: number, length: number): Uint32Array {
  return new Uint32Array(bytes.buffer, bytes.byteOffset + offset, length);
}

export function viewU16(bytes: Uint8Array, offset: number, length: number): Uint16Array {
  return new Uint16Array(bytes.buffer, bytes.byteOffset + offset, length);
}

/** Raw bytes of a typed array. */
export function bytesOf(array: Uint32Array | Uint16Array | Uint8Array | Float64Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

/** An empty bitmap of at least `size` bits; bit i is bit i mod 8 of byte i / 8. */
export const bitmapFor = (size: number): Uint8Array => new Uint8Array(Math.ceil(size / 8));

export const isBitSet = (bitmap: Uint8Array, index: number): boolean =>
  ((bitmap[index >> 3]! >> (index & 7)) & 1) === 1;

export const setBit = (bitmap: Uint8Array, index: number): void => {
  bitmap[index >> 3]! |= 1 << (index & 7);
};
