import { WinnowError } from '../../errors.ts';
import type { Tensor } from '../model-file.ts';

interface SafetensorsEntry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}

/**
 * Reads a safetensors file into the project's tensors: 2-D weights become int8 per row, all else f32.
 *
 * 2-D tensors may be F32, F16 or BF16 (quantised here, symmetric, 127 = the row's largest magnitude) or already I8 with
 * a companion `<name>.scale` of one F32 a row, which is taken over unchanged.
 *
 * @throws WinnowError WINNOW_MODEL_INVALID for a damaged header or an unsupported type
 */
export function readSafetensors(file: Buffer, place: string): Map<string, Tensor> {
  const invalid = (message: string) => new WinnowError('WINNOW_MODEL_INVALID', message, { place });
  if (file.length < 8) throw invalid('not a safetensors file');
  const headerLength = Number(file.readBigUInt64LE(0));
  if (headerLength > file.length - 8) throw invalid('not a safetensors file');
  const header = JSON.parse(file.toString('utf8', 8, 8 + headerLength)) as Record<string, SafetensorsEntry>;
  const bytes = ({ data_offsets: [from, to] }: SafetensorsEntry): Buffer =>
    file.subarray(8 + headerLength + from, 8 + headerLength + to);
  const tensors = new Map<string, Tensor>();
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__' || name.endsWith('.scale')) continue;
    const { dtype, shape } = entry;
    if (dtype === 'I8') {
      const scale = header[`${name}.scale`];
      if (shape.length !== 2 || !scale)
        throw invalid(`int8 tensor "${name}" needs two dimensions and "${name}.scale"`);
      const [rows, cols] = shape as [number, number];
      tensors.set(name, {
        dtype: 'i8',
        shape: [rows, cols],
        data: new Int8Array(bytes(entry)),
        scales: toFloat32(scale.dtype, bytes(scale)),
      });
      continue;
    }
    const values = toFloat32(dtype, bytes(entry));
    if (shape.length === 2) tensors.set(name, quantizeRows(values, shape as [number, number]));
    else tensors.set(name, { dtype: 'f32', shape, data: values });
  }
  return tensors;

  function toFloat32(dtype: string, raw: Buffer): Float32Array {
    switch (dtype) {
      case 'F32':
        return new Float32Array(new Uint8Array(raw).buffer);
      case 'F16':
        return Float32Array.from(new Uint16Array(new Uint8Array(raw).buffer), halfToFloat);
      case 'BF16': {
        const wide = Uint32Array.from(new Uint16Array(new Uint8Array(raw).buffer), (half) => half << 16);
        return new Float32Array(wide.buffer);
      }
      default:
        throw invalid(`tensor type ${dtype} is not supported`);
    }
  }
}

function halfToFloat(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  if (exponent === 0) return sign * 2 ** -24 * fraction;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * 2 ** (exponent - 15) * (1 + fraction / 1024);
}

/** Symmetric int8 per row: scale = max|w| / 127; an all-zero row keeps scale 0. */
export function quantizeRows(values: Float32Array, shape: [number, number]): Tensor {
  const [rows, cols] = shape;
  const data = new Int8Array(rows * cols);
  const scales = new Float32Array(rows);
  for (let r = 0; r < rows; r++) {
    let largest = 0;
    for (let c = 0; c < cols; c++) largest = Math.max(largest, Math.abs(values[r * cols + c]!));
    scales[r] = largest / 127;
    if (largest === 0) continue;
    const inverse = 1 / scales[r]!;
    for (let c = 0; c < cols; c++) {
      data[r * cols + c] = Math.max(-127, Math.min(127, Math.round(values[r * cols + c]! * inverse)));
    }
  }
  return { dtype: 'i8', shape, data, scales };
}
