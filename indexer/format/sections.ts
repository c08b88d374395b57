import { alignUp } from './bytes.ts';
import { corrupt } from './errors.ts';

/**
 * Several byte arrays in one: u32 count, u32 zero, then one u64 length per array, then the arrays at 64-byte boundaries.
 * Used for every part of a segment except posting lists and block maxima, which have their own layouts.
 */
export function packSections(sections: readonly Uint8Array[]): Uint8Array {
  const { packed, views } = allocateSections(sections.map(({ length }) => length));
  sections.forEach((section, i) => {
    views[i]!.set(section);
  });
  return packed;
}

/** Empty sections of known lengths; fill them in through `views`. */
export function allocateSections(lengths: readonly number[]): { packed: Uint8Array; views: Uint8Array[] } {
  let offset = alignUp(8 + 8 * lengths.length);
  const offsets = lengths.map((length) => {
    const at = offset;
    offset = alignUp(offset + length);
    return at;
  });
  const packed = new Uint8Array(offset);
  const table = new DataView(packed.buffer);
  table.setUint32(0, lengths.length, true);
  lengths.forEach((length, i) => {
    table.setBigUint64(8 + 8 * i, BigInt(length), true);
  });
  return { packed, views: lengths.map((length, i) => packed.subarray(offsets[i]!, offsets[i]! + length)) };
}

/** @returns views into `packed`. @throws WinnowError WINNOW_INDEX_CORRUPT when lengths do not add up */
export function unpackSections(packed: Uint8Array, place: string): Uint8Array[] {
  const short = () => corrupt(place, 'a part is shorter than its section table says');
  if (packed.length < 8) throw short();
  const table = new DataView(packed.buffer, packed.byteOffset, packed.length);
  const count = table.getUint32(0, true);
  if (8 + 8 * count > packed.length) throw short();
  let offset = alignUp(8 + 8 * count);
  const sections: Uint8Array[] = [];
  for (let i = 0; i < count; i++) {
    const length = Number(table.getBigUint64(8 + 8 * i, true));
    if (offset + length > packed.length) throw short();
    sections.push(packed.subarray(offset, offset + length));
    offset = alignUp(offset + length);
  }
  if (offset !== packed.length) throw corrupt(place, 'a part has bytes after its last section');
  return sections;
}
