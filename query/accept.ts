import { isBitSet } from '../indexer/format.ts';

/** Which documents of a segment may be hits: bit docId of a little-endian bitmap; undefined = all. */
export type Accept = Uint8Array | undefined;

export const accepts = (accept: Accept, docId: number): boolean =>
  accept === undefined || isBitSet(accept, docId);

export function intersect(a: Accept, b: Accept): Accept {
  if (!a || !b) return a ?? b;
  return a.map((byte, i) => byte & b[i]!);
}

/** The other documents. */
export function complement(bitmap: Uint8Array, numDocs: number): Uint8Array {
  const others = bitmap.map((byte) => ~byte & 0xff);
  if (numDocs % 8 !== 0) others[others.length - 1]! &= (1 << (numDocs % 8)) - 1;
  return others;
}

const BITS = Uint8Array.from({ length: 256 }, (_, byte) => {
  let count = 0;
  for (let rest = byte; rest > 0; rest &= rest - 1) count++;
  return count;
});

/** Bitmaps are made once and asked often. */
const counts = new WeakMap<Uint8Array, number>();

/** Number of set bits; the bitmap must not change afterwards. */
export function countAccepted(bitmap: Uint8Array): number {
  let count = counts.get(bitmap);
  if (count === undefined) {
    count = 0;
    for (let i = 0; i < bitmap.length; i++) count += BITS[bitmap[i]!]!;
    counts.set(bitmap, count);
  }
  return count;
}

const documents = new WeakMap<Uint8Array, Uint32Array>();

/** The set bits, rising; the bitmap must not change afterwards. */
export function acceptedDocs(bitmap: Uint8Array): Uint32Array {
  let docIds = documents.get(bitmap);
  if (!docIds) {
    docIds = new Uint32Array(countAccepted(bitmap));
    let n = 0;
    for (let i = 0; i < bitmap.length; i++)
      for (let rest = bitmap[i]!; rest > 0; rest &= rest - 1)
        docIds[n++] = 8 * i + 31 - Math.clz32(rest & -rest);
    documents.set(bitmap, docIds);
  }
  return docIds;
}
