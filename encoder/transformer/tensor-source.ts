import { WinnowError } from '../../errors.ts';
import type { Int8Rows } from '../../kernels/index.ts';
import type { SparsePattern } from './sparse-storage.ts';
import type { Tensor } from './weights-file.ts';

/** Reads tensors by name and checks their shapes; every error names the tensor in its `place`. */
export class TensorSource {
  readonly #tensors: ReadonlyMap<string, Tensor>;

  constructor(tensors: ReadonlyMap<string, Tensor>) {
    this.#tensors = tensors;
  }

  has(name: string): boolean {
    return this.#tensors.has(name);
  }

  /** Rows of a matrix; undefined where the model has no such tensor. */
  outputsOf(name: string): number | undefined {
    return this.#tensors.get(name)?.shape[0];
  }

  /** A weight matrix [outputs][inputs] as int8 rows; an f32 tensor is quantised. */
  rows(name: string, outputs: number, inputs: number, biasName?: string): Int8Rows {
    const tensor = this.#get(name, [outputs, inputs]);
    const bias = biasName === undefined ? undefined : this.floats(biasName, [outputs]);
    if (tensor.dtype === 'i8') return { data: tensor.data, scales: tensor.scales, bias };
    return { ...quantizeWeightRows(tensor.data, outputs, inputs), bias };
  }

  /** The pattern in which the model file stores a matrix; undefined: dense. */
  storedPattern(name: string): SparsePattern | undefined {
    const tensor = this.#tensors.get(name);
    return tensor?.dtype === 'i8' ? tensor.pattern : undefined;
  }

  /** A tensor as row-major f32; an int8 tensor is dequantised. */
  floats(name: string, shape: readonly number[]): Float32Array {
    const tensor = this.#get(name, shape);
    if (tensor.dtype === 'f32') return tensor.data;
    const [rows, columns] = tensor.shape;
    const values = new Float32Array(rows * columns);
    for (let i = 0; i < values.length; i++)
      values[i] = tensor.data[i]! * tensor.scales[Math.floor(i / columns)]!;
    return values;
  }

  #get(name: string, shape: readonly number[]): Tensor {
    const tensor = this.#tensors.get(name);
    if (tensor === undefined) {
      throw new WinnowError('WINNOW_MODEL_INVALID', `the model has no tensor ${name}`, { place: name });
    }
    if (tensor.shape.join('x') !== shape.join('x')) {
      throw new WinnowError(
        'WINNOW_MODEL_INVALID',
        `tensor has shape ${tensor.shape.join('x')}, config.json requires ${shape.join('x')}`,
        { place: name },
      );
    }
    return tensor;
  }
}

/** Symmetric int8 per row, -127..127: scale = max|w| / 127; an all-zero row keeps scale 0. */
export function quantizeWeightRows(
  values: Float32Array,
  outputs: number,
  inputs: number,
): { readonly data: Int8Array; readonly scales: Float32Array } {
  const data = new Int8Array(outputs * inputs);
  const scales = new Float32Array(outputs);
  for (let n = 0; n < outputs; n++) {
    let largest = 0;
    for (let k = 0; k < inputs; k++) largest = Math.max(largest, Math.abs(values[n * inputs + k]!));
    scales[n] = largest / 127;
    if (largest === 0) continue;
    const inverse = 1 / scales[n]!;
    for (let k = 0; k < inputs; k++) {
      data[n * inputs + k] = Math.max(-127, Math.min(127, Math.round(values[n * inputs + k]! * inverse)));
    }
  }
  return { data, scales };
}

/** Rows of several matrices with the same inputs, one matrix below the other. */
export function stackRows(parts: readonly Int8Rows[]): Int8Rows {
  if (parts.length === 1) return parts[0]!;
  const outputs = parts.reduce((sum, { scales }) => sum + scales.length, 0);
  const data = new Int8Array(parts.reduce((sum, part) => sum + part.data.length, 0));
  const scales = new Float32Array(outputs);
  const bias = new Float32Array(outputs);
  let [row, at] = [0, 0];
  for (const part of parts) {
    data.set(part.data, at);
    scales.set(part.scales, row);
    if (part.bias !== undefined) bias.set(part.bias, row);
    at += part.data.length;
    row += part.scales.length;
  }
  return { data, scales, bias };
}
