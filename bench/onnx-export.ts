import type { ModelConfig, ModelWeights, Tensor } from '../encoder/model-file.ts';

/**
 * Writes the peer of the benchmarks: the same BERT masked-language model as an ONNX file, as f32 or with every weight
 * product as dynamic int8 (DynamicQuantizeLinear + MatMulInteger, what onnxruntime's quantize_dynamic emits).
 * The graph is made of the operators that onnxruntime's optimiser fuses (LayerNormalization, Gelu, attention products);
 * with `pooled` the maximum over tokens and log1p(relu) are in the graph too, which spares the peer a [tokens][V] copy.
 */
export interface OnnxOptions {
  readonly precision: 'f32' | 'int8';
  readonly pooled: boolean;
}

const FLOAT = 1;
const INT8 = 3;
const INT64 = 7;

/** Protocol-buffer writer: just the wire types that ONNX needs. */
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

/** Builds one graph node by node; every method returns the name of the value it made. */
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

  /** x [..][K] times w [N][K] transposed, plus bias, in the asked precision. */
  dense(
    x: string,
    weights: Tensor,
    bias: Float32Array | undefined,
    precision: OnnxOptions['precision'],
  ): string {
    const [N, K] = weights.shape as [number, number];
    let product: string;
    if (precision === 'f32') {
      product = this.one('MatMul', [x, this.constant([K, N], transposed(weights))]);
    } else {
      const { data, scales } = int8Columns(weights);
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

function floats(tensor: Tensor): Float32Array {
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

/** The same int8 values and scales as the model file, laid out [K][N]. */
function int8Columns(tensor: Tensor): { data: Int8Array; scales: Float32Array } {
  const [rows, columns] = tensor.shape as [number, number];
  const values = floats(tensor);
  const data = new Int8Array(values.length);
  const scales = new Float32Array(rows);
  for (let r = 0; r < rows; r++) {
    let top = 0;
    for (let c = 0; c < columns; c++) top = Math.max(top, Math.abs(values[r * columns + c]!));
    scales[r] = top / 127 || 1;
    for (let c = 0; c < columns; c++) data[c * rows + r] = Math.round(values[r * columns + c]! / scales[r]!);
  }
  return { data, scales };
}

/** @returns the bytes of an ONNX model with the inputs of Hugging Face's BERT exports and output `logits` */
export function exportOnnx({ config, tensors }: ModelWeights, { precision, pooled }: OnnxOptions): Buffer {
  const graph = new OnnxGraph();
  const get = (name: string): Tensor => {
    const tensor = tensors.get(name);
    if (tensor === undefined) throw new Error(`the model has no tensor ${name}`);
    return tensor;
  };
  const dense = (x: string, name: string) =>
    graph.dense(x, get(`${name}.weight`), floats(get(`${name}.bias`)), precision);
  const norm = (x: string, name: string) => {
    const parts = ['weight', 'bias'].map((part) =>
      graph.constant([config.hidden_size], floats(get(`${name}.${part}`))),
    );
    return graph.one('LayerNormalization', [x, ...parts], {
      axis: -1,
      epsilon: { float: config.layer_norm_eps },
    });
  };
  const table = (name: string) => {
    const tensor = get(`bert.embeddings.${name}.weight`);
    return graph.constant(tensor.shape, floats(tensor));
  };
  for (const name of ['input_ids', 'attention_mask', 'token_type_ids']) {
    graph.input(name, 'i64', ['batch', 'tokens']);
  }
  const length = graph.one('Gather', [graph.one('Shape', ['input_ids']), graph.ints(1)]);
  const places = graph.one('Slice', [table('position_embeddings'), graph.ints(0), length]);
  let x = graph.one('Add', [
    graph.one('Gather', [table('word_embeddings'), 'input_ids']),
    graph.one('Gather', [table('token_type_embeddings'), 'token_type_ids']),
  ]);
  x = norm(graph.one('Add', [x, places]), 'bert.embeddings.LayerNorm');
  const mask = attentionMask(graph);
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    const name = `bert.encoder.layer.${layer}`;
    const mixed = attention(graph, config, (part) => dense(x, `${name}.attention.self.${part}`), mask);
    const attended = graph.one('Add', [dense(mixed, `${name}.attention.output.dense`), x]);
    x = norm(attended, `${name}.attention.output.LayerNorm`);
    const inner = graph.gelu(dense(x, `${name}.intermediate.dense`));
    x = norm(graph.one('Add', [dense(inner, `${name}.output.dense`), x]), `${name}.output.LayerNorm`);
  }
  x = norm(graph.gelu(dense(x, 'cls.predictions.transform.dense')), 'cls.predictions.transform.LayerNorm');
  const words = get('bert.embeddings.word_embeddings.weight');
  const logits = graph.dense(x, words, floats(get('cls.predictions.bias')), precision);
  if (!pooled) graph.output(logits, 'logits', ['batch', 'tokens', config.vocab_size]);
  else graph.output(maximumOverTokens(graph, logits), 'logits', ['batch', config.vocab_size]);
  return graph.encode();
}

/** 0 for tokens, -1e9 for padding, as [batch][1][1][tokens]. */
function attentionMask(graph: OnnxGraph): string {
  const mask = graph.one('Cast', ['attention_mask'], { to: FLOAT });
  const wide = graph.one('Unsqueeze', [mask, graph.ints(1, 2)]);
  const padding = graph.one('Sub', [graph.constant([], Float32Array.of(1)), wide]);
  return graph.one('Mul', [padding, graph.constant([], Float32Array.of(-1e9))]);
}

function attention(
  graph: OnnxGraph,
  { num_attention_heads: heads, hidden_size: hidden }: ModelConfig,
  project: (part: string) => string,
  mask: string,
): string {
  const split = (part: string, perm: number[]) => {
    const apart = graph.one('Reshape', [project(part), graph.ints(0, 0, heads, hidden / heads)]);
    return graph.one('Transpose', [apart], { perm });
  };
  const scores = graph.one('MatMul', [split('query', [0, 2, 1, 3]), split('key', [0, 2, 3, 1])]);
  const scaled = graph.one('Div', [scores, graph.constant([], Float32Array.of(Math.sqrt(hidden / heads)))]);
  const weights = graph.one('Softmax', [graph.one('Add', [scaled, mask])], { axis: -1 });
  const mixed = graph.one('MatMul', [weights, split('value', [0, 2, 1, 3])]);
  const joined = graph.one('Transpose', [mixed], { perm: [0, 2, 1, 3] });
  return graph.one('Reshape', [joined, graph.ints(0, 0, hidden)]);
}

/** log(1 + relu(max over tokens)); padding is pushed below 0 first. */
function maximumOverTokens(graph: OnnxGraph, logits: string): string {
  const mask = graph.one('Cast', ['attention_mask'], { to: FLOAT });
  const wide = graph.one('Unsqueeze', [mask, graph.ints(2)]);
  const top = graph.one('ReduceMax', [graph.one('Mul', [graph.one('Relu', [logits]), wide])], {
    axes: [1],
    keepdims: 0,
  });
  return graph.one('Log', [graph.one('Add', [top, graph.constant([], Float32Array.of(1))])]);
}
