import { crc32 } from 'node:zlib';
import { WinnowError } from '../../errors.ts';
import { isSparsePattern, type SparsePattern } from './sparse-storage.ts';

/**
 * The front of `weights.winnow`, all little-endian: magic, u32 version, u32 header length, u32 CRC-32 of the header, u32
 * zero; the JSON header; then the data section at a 64-byte boundary.
 *
 * Version 2 added `pattern`, `bytes` and `deflated` to the entries of tensors; version 1 is read as it is.
 */
const MAGIC = 'WNWMODEL';
const FORMAT_VERSION = 2;
export const PREAMBLE_BYTES = 24;
const ALIGNMENT = 64;

/** A tensor in the header; offsets count from the start of the data section and are multiples of 64. */
export interface TensorEntry {
  readonly dtype: 'i8' | 'f32';
  readonly shape: readonly number[];
  /** Byte offset of the values. */
  readonly offset: number;
  /** Byte offset of the row scales (i8 only). */
  readonly scales?: number;
  /** The values are stored as `encodeSparse` writes them (i8 only); absent: all of them, row by row. */
  readonly pattern?: SparsePattern;
  /** Bytes of the values where the shape does not tell them (with a pattern). */
  readonly bytes?: number;
  /** The values are a raw deflate stream of this many bytes; absent: they are stored as they are. */
  readonly deflated?: number;
}

export interface WeightsHeader {
  /** SHA-256 of the data section, hex. */
  readonly sha256: string;
  readonly dataBytes: number;
  readonly tensors: Readonly<Record<string, TensorEntry>>;
}

export const align = (bytes: number): number => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;

/** What is thrown for a damaged weights file. */
export const invalidWeights = (place: string, message: string, cause?: unknown): WinnowError =>
  new WinnowError('WINNOW_MODEL_INVALID', message, {
    place,
    hint: 'restore the model folder or convert the model again',
    cause,
  });

/** Preamble and header, padded to where the data section begins. */
export function encodeHeader(header: WeightsHeader): Buffer {
  const json = Buffer.from(JSON.stringify(header));
  const front = Buffer.alloc(align(PREAMBLE_BYTES + json.length));
  front.write(MAGIC, 0, 'latin1');
  front.writeUInt32LE(FORMAT_VERSION, 8);
  front.writeUInt32LE(json.length, 12);
  front.writeUInt32LE(crc32(json), 16);
  json.copy(front, PREAMBLE_BYTES);
  return front;
}

/**
 * Reads and checks the header. Offsets and sizes are whole numbers, but may lie outside the file.
 *
 * @param file at least preamble and header
 * @throws WinnowError WINNOW_MODEL_INVALID for a wrong magic, version, length, checksum or tensor table
 */
export function decodeHeader(
  file: Buffer,
  place: string,
): { readonly header: WeightsHeader; readonly dataStart: number; readonly headerBytes: Buffer } {
  if (file.length < PREAMBLE_BYTES || file.toString('latin1', 0, 8) !== MAGIC)
    throw invalidWeights(place, 'not a Winnow weights file');
  const version = file.readUInt32LE(8);
  if (version < 1 || version > FORMAT_VERSION) {
    throw invalidWeights(place, `weights format ${version}, this build reads 1 to ${FORMAT_VERSION}`);
  }
  const headerLength = file.readUInt32LE(12);
  if (PREAMBLE_BYTES + headerLength > file.length)
    throw invalidWeights(place, 'the file is shorter than its header states');
  const headerBytes = file.subarray(PREAMBLE_BYTES, PREAMBLE_BYTES + headerLength);
  if (crc32(headerBytes) !== file.readUInt32LE(16) || file.readUInt32LE(20) !== 0)
    throw invalidWeights(place, 'checksum mismatch in the header');
  let header: unknown;
  try {
    header = JSON.parse(headerBytes.toString('utf8'));
  } catch (cause) {
    throw invalidWeights(place, 'the header is not JSON', cause);
  }
  if (!isHeader(header)) throw invalidWeights(place, 'the header has no table of tensors');
  for (const [name, entry] of Object.entries(header.tensors)) {
    const fault = faultOf(entry);
    if (fault) throw invalidWeights(place, `tensor "${name}" ${fault}`);
  }
  return { header, dataStart: align(PREAMBLE_BYTES + headerLength), headerBytes };
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

const isHeader = (value: unknown): value is WeightsHeader =>
  isObject(value) && typeof value.sha256 === 'string' && isSize(value.dataBytes) && isObject(value.tensors);

/** What is wrong with an entry of the table of tensors. */
function faultOf(entry: unknown): string | undefined {
  if (!isObject(entry)) return 'is no object';
  const { dtype, shape, offset, scales, pattern, bytes, deflated } = entry;
  if (!Array.isArray(shape) || !shape.every((n) => isSize(n) && n > 0)) return 'has a bad shape';
  const isMatrix = dtype === 'i8' && shape.length === 2 && scales !== undefined;
  if (!isMatrix && dtype !== 'f32')
    return `has type ${dtype} with ${shape.length} dimensions, which is not supported`;
  const offsets = [offset, scales].filter((value) => value !== undefined);
  if (offset === undefined || !offsets.every((value) => isSize(value) && value % 4 === 0))
    return 'has a bad offset';
  if (pattern !== undefined && !(isMatrix && isSparsePattern(pattern)))
    return `has the pattern ${JSON.stringify(pattern)}, which is not supported`;
  if ((pattern === undefined) !== (bytes === undefined) || !isSize(bytes ?? 0) || !isSize(deflated ?? 0))
    return 'has a bad size';
  return undefined;
}
