/** Which documents of a segment may be hits: bit docId of a little-endian bitmap; undefined = all. */
export type Accept = Uint8Array | undefined;

export const accepts = (accept: Accept, docId: number): boolean =>
  accept === undefined || ((accept[docId >> 3]! >> (docId & 7)) & 1) === 1;

export function intersect(a: Accept, b: Accept): Accept {
  if (!a || !b) return a ?? b;
  return a.map((byte, i) => byte & b[i]!);
}

const BITS = Uint8Array.from({ length: 256 }, (_, byte) => {
  let count = 0;
  for (let rest = byte; rest > 0; rest &= rest - 1) count++;
  return count;
});

export function countAccepted(bitmap: Uint8Array): number {
  let count = 0;
  for (let i = 0; i < bitmap.length; i++) count += BITS[bitmap[i]!]!;
  return count;
}

/** Calls `visit` for every set bit below `numDocs`, in rising order. */
export function forEachAccepted(bitmap: Uint8Array, visit: (docId: number) => void): void {
  for (let i = 0; i < bitmap.length; i++) {
    for (let rest = bitmap[i]!; rest > 0; rest &= rest - 1) visit(8 * i + 31 - Math.clz32(rest & -rest));
  }
}
