import { crc32 } from 'node:zlib';
import { loadKernels } from '../../kernels/runtime/loader.ts';
import { corrupt } from './errors.ts';

/** From so many bytes on a kernel is faster; loading it would take longer than zlib's call for a few small ones. */
const MANY_BYTES = 4096;

/** CRC-32, as in zlib. @param before checksum of the bytes before these, to continue it */
export function checksum(bytes: Uint8Array | string, before = 0): number {
  const kernel = typeof bytes !== 'string' && bytes.length >= MANY_BYTES ? loadKernels().build : undefined;
  return kernel ? kernel.crc32(bytes as Uint8Array, before) : crc32(bytes, before);
}

/** u32 CRC-32, u32 zero: 8 bytes, so that what follows keeps its alignment. */
const PREFIX_BYTES = 8;

/** Puts a CRC-32 before a FlatBuffer, a bitmap or JSON. FlatBuffers' TypeScript runtime verifies nothing. */
export function withChecksum(body: Uint8Array): Uint8Array {
  const out = new Uint8Array(PREFIX_BYTES + body.length);
  new DataView(out.buffer).setUint32(0, checksum(body), true);
  out.set(body, PREFIX_BYTES);
  return out;
}

/** @returns the body that {@link withChecksum} got (a view). @throws WinnowError WINNOW_INDEX_CORRUPT */
export function verifyChecksum(bytes: Uint8Array, place: string): Uint8Array {
  if (bytes.length <= PREFIX_BYTES) throw corrupt(place, 'cut short');
  const body = bytes.subarray(PREFIX_BYTES);
  if (checksum(body) !== new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true))
    throw corrupt(place, 'checksum mismatch');
  return body;
}
