import { alignUp, corrupt } from './format.ts';

/**
 * Several byte arrays in one: u32 count, u32 zero, then a u64 length each, then the arrays at 64-byte boundaries.
 * Used for every part of a segment but the posting lists, which have a layout of their own.
 */
export function packSections(sections: readonly Uint8Array[]): Uint8Array {
  let offset = alignUp(8 + 8 * sections.length);
  const offsets = sections.map((section) => {
    const at = offset;
    offset = alignUp(offset + section.length);
    return at;
  });
  const packed = new Uint8Array(offset);
  const table = new DataView(packed.buffer);
  table.setUint32(0, sections.length, true);
  sections.forEach((section, i) => {
    table.setBigUint64(8 + 8 * i, BigInt(section.length), true);
    packed.set(section, offsets[i]!);
  });
  return packed;
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
