/** Arrays inside a part start at multiples of this many bytes, so that SIMD loads and typed-array views are aligned. */
const ALIGNMENT = 64;

export const alignUp = (bytes: number): number => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;

/**
 * A view of `length` elements, not bytes. The caller guarantees bounds; alignment follows from {@link alignUp} and from the
 * address of a part, which is a multiple of 8.
 *
 * @param offset in bytes
 */
export function viewU32(bytes: Uint8Array, offset: number, length: number): Uint32Array {
  return new Uint32Array(bytes.buffer, bytes.byteOffset + offset, length);
}

/** As {@link viewU32}. */
export function viewU16(bytes: Uint8Array, offset: number, length: number): Uint16Array {
  return new Uint16Array(bytes.buffer, bytes.byteOffset + offset, length);
}

/** A view. */
export function bytesOf(array: Uint32Array | Uint16Array | Uint8Array | Float64Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

/** A view; lmdb-js stores Buffers only. */
export const asBuffer = (bytes: Uint8Array): Buffer =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
