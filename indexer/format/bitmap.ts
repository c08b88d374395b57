/** An empty bitmap of at least `size` bits; bit i is bit i mod 8 of byte i / 8. */
export const bitmapFor = (size: number): Uint8Array => new Uint8Array(Math.ceil(size / 8));

export const isBitSet = (bitmap: Uint8Array, index: number): boolean =>
  ((bitmap[index >> 3]! >> (index & 7)) & 1) === 1;

export const setBit = (bitmap: Uint8Array, index: number): void => {
  bitmap[index >> 3]! |= 1 << (index & 7);
};

/** Whether a document is in the index. @param live bit set = live; undefined when nothing of the segment is deleted */
export const isLive = (live: Uint8Array | undefined, docId: number): boolean =>
  live === undefined || isBitSet(live, docId);
