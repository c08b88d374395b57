import type { Tensor } from '../encoder/transformer/weights-file.ts';

/**
 * Numbers of a weight product: f32; or DynamicQuantizeLinear + MatMulInteger, as onnxruntime's quantize_dynamic emits them, with
 * weights of 8 bits, or of 7, which processors without VNNI need: there two products are added in 16 bits and saturate.
 */
export type OnnxPrecision = 'f32' | 'int8' | 'int7';

export const FLOAT = 1;
const INT8 = 3;
const INT64 = 7;

/** Protocol-buffer writer, limited to the wire types that ONNX needs. */
class Message {
  readonly #parts: Buffer[] = [];

  int(field: number, value: number | bigint): this {
    return this.#push(varint(field << 3), varint(value));
  }

  float(field: number, value: number): this {
    const bytes = Buffer.alloc(4);
    bytes.writeFloatLE(value);
    return this.#push(varint((field << 3) | 5), bytes);
  }

  bytes(field: number, value: Buffer | string | Message): this {
    const body = value instanceof Message ? value.encode() : Buffer.from(value as string);
    return this.#push(varint((field << 3) | 2), varint(body.length), body);
  }

  encode(): Buffer {
    return Buffer.concat(this.#parts);
  }

  #push(...parts: Buffer[]): this {
    this.#parts.push(...parts);
    return this;
  }
}

function varint(value: number | bigint): Buffer {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  do {
    const low = Number(rest & 127n);
    rest >>= 7n;
    bytes.push(rest === 0n ? low : low | 128);
  } while (rest !== 0n);
  return Buffer.from(bytes);
}

type Attribute = number | readonly number[] | { readonly float: number };

/** Builds a graph node by node; every method returns the name of the value that it adds. */
export class OnnxGraph {
  readonly #graph = new Message();
  #count = 0;

  node(
    op: string,
    inputs: readonly string[],
    attributes: Record<string, Attribute> = {},
    outputs = 1,
  ): string[] {
    const names = Array.from({ length: outputs }, () => `v${this.#count++}`);
    const node = new Message();
    for (const input of inputs) node.bytes(1, input);
    for (const name of names) node.bytes(2, name);
    node.bytes(3, `n${this.#count++}`).bytes(4, op);
    for (const [name, value] of Object.entries(attributes)) {
      const attribute = new Message().bytes(1, name);
      if (typeof value === 'number') attribute.int(3, value).int(20, 2);
      else if ('float' in value) attribute.float(2, value.float).int(20, 1);
      else {
        for (const item of value) attribute.int(8, item);
        attribute.int(20, 7);
      }
      node.bytes(5, attribute);
    }
    this.#graph.bytes(1, node);
    return names;
  }

  one(op: string, inputs: readonly string[], attributes: Record<string, Attribute> = {}): string {
    return this.node(op, inputs, attributes)[0]!;
  }

  constant(shape: readonly number[], data: Float32Array | Int8Array | BigInt64Array): string {
    const name = `w${this.#count++}`;
    const type = data instanceof Float32Array ? FLOAT : data instanceof Int8Array ? INT8 : INT64;
    const tensor = new Message();
    for (const size of shape) tensor.int(1, size);
    tensor
      .int(2, type)
      .bytes(8, name)
      .bytes(9, Buffer.from(data.buffer, data.byteOffset, data.byteLength));
    this.#graph.bytes(5, tensor);
    return name;
  }

  ints(...values: number[]): string {
    return this.constant([values.length], BigInt64Array.from(values, BigInt));
  }

  input(name: string, type: 'f32' | 'i64', shape: readonly (number | string)[]): void {
    this.#graph.bytes(11, valueInfo(name, type === 'f32' ? FLOAT : INT64, shape));
  }

  output(value: string, name: string, shape: readonly (number | string)[]): void {
    const node = new Message().bytes(1, value).bytes(2, name).bytes(3, `out_${name}`).bytes(4, 'Identity');
    this.#graph.bytes(1, node).bytes(12, valueInfo(name, FLOAT, shape));
  }

  encode(): Buffer {
    this.#graph.bytes(2, 'winnow-peer');
    const opset = new Message().bytes(1, '').int(2, 17);
    return new Message().int(1, 8).bytes(2, 'winnow').bytes(7, this.#graph).bytes(8, opset).encode();
  }

  /** x [..][K] times w [N][K] transposed, plus bias, in the given precision. */
  dense(x: string, weights: Tensor, bias: Float32Array | undefined, precision: OnnxPrecision): string {
    const [N, K] = weights.shape as [number, number];
    let product: string;
    if (precision === 'f32') {
      product = this.one('MatMul', [x, this.constant([K, N], transposed(weights))]);
    } else {
      const { data, scales } = int8Columns(weights, precision === 'int8' ? 127 : 63);
      const [values, scale, zero] = this.node('DynamicQuantizeLinear', [x], {}, 3) as [
        string,
        string,
        string,
      ];
      const w = this.constant([K, N], data);
      const sum = this.one('MatMulInteger', [values, w, zero, this.constant([N], new Int8Array(N))]);
      const factor = this.one('Mul', [scale, this.constant([N], scales)]);
      product = this.one('Mul', [this.one('Cast', [sum], { to: FLOAT }), factor]);
    }
    return bias === undefined ? product : this.one('Add', [product, this.constant([N], bias)]);
  }

  gelu(x: string): string {
    const scaled = this.one('Div', [x, this.constant([], Float32Array.of(Math.SQRT2))]);
    const shifted = this.one('Add', [this.one('Erf', [scaled]), this.constant([], Float32Array.of(1))]);
    return this.one('Mul', [this.one('Mul', [x, shifted]), this.constant([], Float32Array.of(0.5))]);
  }
}

function valueInfo(name: string, type: number, shape: readonly (number | string)[]): Message {
  const dims = new Message();
  for (const size of shape) {
    const dim = new Message();
    dims.bytes(1, typeof size === 'number' ? dim.int(1, size) : dim.bytes(2, size));
  }
  const tensor = new Message().int(1, type).bytes(2, dims);
  return new Message().bytes(1, name).bytes(2, new Message().bytes(1, tensor));
}

export function floats(tensor: Tensor): Float32Array {
  if (tensor.dtype === 'f32') return tensor.data;
  const columns = tensor.shape[1];
  return Float32Array.from(tensor.data, (value, i) => value * tensor.scales[Math.floor(i / columns)]!);
}

function transposed(tensor: Tensor): Float32Array {
  const [rows, columns] = tensor.shape as [number, number];
  const values = floats(tensor);
  const out = new Float32Array(values.length);
  for (let r = 0; r < rows; r++)
    for (let c = 0; c < columns; c++) out[c * rows + r] = values[r * columns + c]!;
  return out;
}

/** Weights -most..most with a scale per output, laid out [K][N]; with 127 those of the model file. */
function int8Columns(tensor: Tensor, most: 127 | 63): { data: Int8Array; scales: Float32Array } {
  const [rows, columns] = tensor.shape as [number, number];
  const values = floats(tensor);
  const data = new Int8Array(values.length);
  const scales = new Float32Array(rows);
  for (let r = 0; r < rows; r++) {
    let top = 0;
    for (let c = 0; c < columns; c++) top = Math.max(top, Math.abs(values[r * columns + c]!));
    scales[r] = top / most || 1;
    for (let c = 0; c < columns; c++) data[c * rows + r] = Math.round(values[r * columns + c]! / scales[r]!);
  }
  return { data, scales };
}
