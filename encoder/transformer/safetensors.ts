import { WinnowError } from '../../errors.ts';
import { quantizeWeightRows } from './tensor-source.ts';
import type { Tensor } from './weights-file.ts';

interface SafetensorsEntry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

/** Bytes per element of the types that are read. */
const TYPE_BYTES: Readonly<Record<string, number>> = { F32: 4, F16: 2, BF16: 2, I8: 1 };

/**
 * Reads a safetensors file into the project's tensors: 2-D weights become int8 per row, all others f32.
 *
 * 2-D tensors may be F32, F16 or BF16 (quantised here, symmetric, 127 = the row's largest magnitude) or already I8 with
 * a companion `<name>.scale` of one F32 per row, which is kept unchanged.
 *
 * @throws WinnowError WINNOW_MODEL_INVALID for a damaged file or an unsupported type
 */
export function readSafetensors(file: Buffer, place: string): Map<string, Tensor> {
  const invalid = (message: string, cause?: unknown) =>
    new WinnowError('WINNOW_MODEL_INVALID', message, { place, cause });
  const headerLength = file.length < 8 ? Infinity : Number(file.readBigUInt64LE(0));
  if (headerLength > file.length - 8) throw invalid('not a safetensors file');
  let header: Record<string, SafetensorsEntry>;
  try {
    header = JSON.parse(file.toString('utf8', 8, 8 + headerLength));
  } catch (cause) {
    throw invalid('the header is not JSON', cause);
  }
  const bytes = (name: string, { dtype, shape, data_offsets: [from, to] }: SafetensorsEntry): Buffer => {
    const size = TYPE_BYTES[dtype];
    if (size === undefined) throw invalid(`tensor type ${dtype} of "${name}" is not supported`);
    const expected = shape.reduce((product, n) => product * n, size);
    const data = file.subarray(8 + headerLength + from, 8 + headerLength + to);
    if (data.length !== expected || to - from !== expected)
      throw invalid(`tensor "${name}" does not have the bytes of its shape`);
    return data;
  };
  const tensors = new Map<string, Tensor>();
  for (const [name, entry] of Object.entries(header)) {
    // Older checkpoints store the positions 0, 1, 2 ... as a tensor.
    const isNoWeight = name === '__metadata__' || name.endsWith('.scale') || name.endsWith('.position_ids');
    if (isNoWeight) continue;
    const { dtype, shape } = entry;
    const [rows = 0, columns = 0] = shape;
    if (dtype === 'I8') {
      const scale = header[`${name}.scale`];
      if (shape.length !== 2 || !scale)
        throw invalid(`int8 tensor "${name}" needs two dimensions and "${name}.scale"`);
      const data = new Int8Array(bytes(name, entry));
      const scales = toFloat32(scale.dtype, bytes(`${name}.scale`, scale));
      tensors.set(name, { dtype: 'i8', shape: [rows, columns], data, scales });
      continue;
    }
    const values = toFloat32(dtype, bytes(name, entry));
    const matrix = { dtype: 'i8', shape: [rows, columns] } as const;
    if (shape.length === 2) tensors.set(name, { ...matrix, ...quantizeWeightRows(values, rows, columns) });
    else tensors.set(name, { dtype: 'f32', shape, data: values });
  }
  return tensors;
}

/** @param dtype F32, F16 or BF16 */
function toFloat32(dtype: string, raw: Buffer): Float32Array {
  const { buffer } = new Uint8Array(raw);
  if (dtype === 'F32') return new Float32Array(buffer);
  const halves = new Uint16Array(buffer);
  if (dtype === 'F16') return Float32Array.from(halves, halfToFloat);
  return new Float32Array(Uint32Array.from(halves, (half) => half << 16).buffer);
}

function halfToFloat(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  if (exponent === 0) return sign * 2 ** -24 * fraction;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * 2 ** (exponent - 15) * (1 + fraction / 1024);
}
