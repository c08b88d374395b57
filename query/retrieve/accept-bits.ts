import { isBitSet } from '../../indexer/format/bitmap.ts';

/** The documents of a segment that may be hits: bit docId of a little-endian bitmap; undefined = all. */
export type AcceptBits = Uint8Array | undefined;

export const accepts = (acceptBits: AcceptBits, docId: number): boolean =>
  acceptBits === undefined || isBitSet(acceptBits, docId);

export function intersect(a: AcceptBits, b: AcceptBits): AcceptBits {
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

/** A filter's bitmap is made once and used by many searches. */
const counts = new WeakMap<Uint8Array, number>();

/** Number of set bits. The bitmap must not change afterwards. */
export function countAccepted(bitmap: Uint8Array): number {
  let count = counts.get(bitmap);
  if (count === undefined) {
    count = 0;
    for (let i = 0; i < bitmap.length; i++) count += BITS[bitmap[i]!]!;
    counts.set(bitmap, count);
  }
  return count;
}

/** Set bits before bit docId among the 64 that begin at a multiple of 64. */
export function rankIn(bitmap: Uint8Array, docId: number): number {
  const byte = docId >> 3;
  let rank = BITS[bitmap[byte]! & ((1 << (docId & 7)) - 1)]!;
  for (let i = byte & ~7; i < byte; i++) rank += BITS[bitmap[i]!]!;
  return rank;
}

const documents = new WeakMap<Uint8Array, Uint32Array>();

/** The documents whose bit is set, in ascending order. The bitmap must not change afterwards. */
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
