import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { constants, deflateRawSync, inflateRawSync } from 'node:zlib';
import type { WinnowError } from '../../errors.ts';
import type { TransformerConfig } from './config.ts';
import { decodeSparse, encodeSparse, type SparsePattern } from './sparse-storage.ts';
import {
  align,
  decodeHeader,
  encodeHeader,
  invalidWeights,
  PREAMBLE_BYTES,
  type TensorEntry,
} from './weights-header.ts';

/** A 2-D weight as int8 per row (`w[r][c] = data[r * cols + c] * scales[r]`) or any tensor as f32. */
export type Tensor =
  | {
      readonly dtype: 'i8';
      readonly shape: readonly [number, number];
      /** All weights, zeros included. */
      readonly data: Int8Array;
      readonly scales: Float32Array;
      /** The pattern of the zeros: the form in the file, and the kernel. Absent: dense. */
      readonly pattern?: SparsePattern;
    }
  | { readonly dtype: 'f32'; readonly shape: readonly number[]; readonly data: Float32Array };

/** The tensors of a model under their Hugging Face names. `Config` adds what the head needs to the fields of the body. */
export interface ModelWeights<Config extends TransformerConfig = TransformerConfig> {
  readonly config: Config;
  readonly tensors: ReadonlyMap<string, Tensor>;
}

/** Share of its size that deflating a tensor must save. */
const LEAST_SAVING = 0.05;
/** A Huffman code has a bit or more per byte, so a stream that promises more was not written by {@link encodeWeights}. */
const MOST_INFLATION = 8;
/** Weights of a file at most: a damaged header must not make the reader allocate without end. */
const MOST_WEIGHTS = 2 ** 31;

/**
 * Serialises tensors; the inverse of {@link decodeWeights}. Values are deflated where that pays, which saves some 7 % of int8
 * weights: Huffman codes only, since weights have no strings that come again.
 */
export function encodeWeights(tensors: ReadonlyMap<string, Tensor>): Buffer {
  const entries: Record<string, TensorEntry> = {};
  const parts: { offset: number; bytes: Uint8Array }[] = [];
  let end = 0;
  const append = (bytes: Uint8Array): number => {
    const offset = align(end);
    parts.push({ offset, bytes });
    end = offset + bytes.length;
    return offset;
  };
  for (const [name, tensor] of tensors) {
    const { dtype, shape } = tensor;
    const pattern = tensor.dtype === 'i8' ? tensor.pattern : undefined;
    const values = bytesOf(
      pattern ? encodeSparse(tensor.data as Int8Array, shape[1]!, pattern) : tensor.data,
    );
    const short = deflateRawSync(values, { strategy: constants.Z_HUFFMAN_ONLY });
    const isShorter = short.length < (1 - LEAST_SAVING) * values.length;
    entries[name] = {
      dtype,
      shape,
      offset: append(isShorter ? short : values),
      ...(tensor.dtype === 'i8' && { scales: append(bytesOf(tensor.scales)) }),
      ...(pattern && { pattern, bytes: values.length }),
      ...(isShorter && { deflated: short.length }),
    };
  }
  const data = Buffer.alloc(end);
  for (const { offset, bytes } of parts) data.set(bytes, offset);
  const sha256 = createHash('sha256').update(data).digest('hex');
  return Buffer.concat([encodeHeader({ sha256, dataBytes: end, tensors: entries }), data]);
}

const bytesOf = (view: Int8Array | Float32Array): Uint8Array =>
  new Uint8Array(view.buffer, view.byteOffset, view.byteLength);

/**
 * The header of a weights file, checked; the weights themselves are not read, since opening a model for a search must not
 * read 23 MB. The header holds the SHA-256 of the weights, so a hash over it covers them.
 *
 * @throws WinnowError WINNOW_MODEL_INVALID for a wrong magic, version, length, checksum or tensor table
 */
export function readWeightsHeader(path: string): Buffer {
  const descriptor = openSync(path, 'r');
  try {
    const { size } = fstatSync(descriptor);
    const preamble = Buffer.alloc(Math.min(PREAMBLE_BYTES, size));
    readSync(descriptor, preamble, 0, preamble.length, 0);
    const length = size < PREAMBLE_BYTES ? size : PREAMBLE_BYTES + preamble.readUInt32LE(12);
    const start = Buffer.alloc(Math.min(length, size));
    readSync(descriptor, start, 0, start.length, 0);
    return decodeHeader(start, path).headerBytes;
  } finally {
    closeSync(descriptor);
  }
}

/**
 * Reads and checks a weights file: offsets, sizes and patterns are verified before anything is read or allocated by them.
 *
 * @throws WinnowError WINNOW_MODEL_INVALID for a wrong magic, version, length, checksum, tensor table or pattern
 */
export function decodeWeights(file: Buffer, place: string): Map<string, Tensor> {
  const { header, dataStart } = decodeHeader(file, place);
  const invalid = (message: string, cause?: unknown) => invalidWeights(place, message, cause);
  if (dataStart + header.dataBytes !== file.length)
    throw invalid('the file is cut short or has bytes after its end');
  const data = file.subarray(dataStart);
  if (createHash('sha256').update(data).digest('hex') !== header.sha256)
    throw invalid('checksum mismatch in the weights');
  let left = MOST_WEIGHTS;
  const tensors = new Map<string, Tensor>();
  for (const [name, entry] of Object.entries(header.tensors)) {
    left -= entry.shape.reduce((product, n) => product * n, 1);
    if (left < 0) throw invalid(`the tensors have more than ${MOST_WEIGHTS} weights`);
    tensors.set(
      name,
      decodeTensor(data, entry, (fault, cause) => invalid(`tensor "${name}" ${fault}`, cause)),
    );
  }
  return tensors;
}

type Invalid = (fault: string, cause?: unknown) => WinnowError;

function decodeTensor(data: Buffer, entry: TensorEntry, invalid: Invalid): Tensor {
  const { dtype, shape, scales, pattern } = entry;
  const count = shape.reduce((product, n) => product * n, 1);
  const values = readValues(data, entry, entry.bytes ?? (dtype === 'f32' ? 4 * count : count), invalid);
  if (dtype === 'f32') return { dtype, shape, data: floatsOf(values) };
  const [rows, columns] = shape as [number, number];
  const matrix = {
    dtype,
    shape: [rows, columns],
    scales: floatsOf(slice(data, scales!, 4 * rows, invalid)),
  } as const;
  const stored = new Int8Array(values.buffer, values.byteOffset, values.length);
  if (pattern === undefined) return { ...matrix, data: stored };
  const dense = decodeSparse(stored, rows, columns, pattern);
  if (dense === undefined) throw invalid(`is not ${rows} x ${columns} weights in the pattern ${pattern}`);
  return { ...matrix, data: dense, pattern };
}

/** The stored values of a tensor, inflated: `size` bytes. */
function readValues(
  data: Buffer,
  { offset, deflated }: TensorEntry,
  size: number,
  invalid: Invalid,
): Uint8Array {
  if (deflated === undefined) return slice(data, offset, size, invalid);
  const stream = slice(data, offset, deflated, invalid);
  if (size > MOST_INFLATION * deflated) throw invalid(`cannot have ${size} bytes`);
  let values: Buffer;
  try {
    values = inflateRawSync(stream, { maxOutputLength: size });
  } catch (cause) {
    throw invalid('is no deflate stream of its size', cause);
  }
  if (values.length !== size) throw invalid(`has ${values.length} bytes instead of ${size}`);
  return values;
}

function slice(data: Buffer, offset: number, bytes: number, invalid: Invalid): Uint8Array {
  if (offset + bytes > data.length) throw invalid('lies outside the file');
  return data.subarray(offset, offset + bytes);
}

/** A view where the alignment allows it: a pooled Buffer may start anywhere. */
function floatsOf(bytes: Uint8Array): Float32Array {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : new Uint8Array(bytes);
  return new Float32Array(aligned.buffer as ArrayBuffer, aligned.byteOffset, aligned.length / 4);
}
