import type { TransformerConfig } from '../encoder/transformer/config.ts';
import type { ModelWeights, Tensor } from '../encoder/transformer/weights-file.ts';
import { FLOAT, floats, OnnxGraph, type OnnxPrecision } from './onnx-graph.ts';

/** Form of the model that the benchmarks' peer runs. */
export interface OnnxOptions {
  readonly precision: OnnxPrecision;
  /** Put the maximum over tokens and log1p(relu) into the graph too, which saves the peer a [tokens][V] copy. */
  readonly pooled: boolean;
}

/** The tensors of a model as nodes of a graph. */
class Layers {
  readonly graph = new OnnxGraph();
  readonly #model: ModelWeights;
  readonly #precision: OnnxPrecision;

  constructor(model: ModelWeights, precision: OnnxPrecision) {
    this.#model = model;
    this.#precision = precision;
  }

  get(name: string): Tensor {
    const tensor = this.#model.tensors.get(name);
    if (tensor === undefined) throw new Error(`the model has no tensor ${name}`);
    return tensor;
  }

  dense(x: string, name: string): string {
    const bias = floats(this.get(`${name}.bias`));
    return this.graph.dense(x, this.get(`${name}.weight`), bias, this.#precision);
  }

  norm(x: string, name: string): string {
    const { hidden_size, layer_norm_eps } = this.#model.config;
    const parts = ['weight', 'bias'].map((part) =>
      this.graph.constant([hidden_size], floats(this.get(`${name}.${part}`))),
    );
    return this.graph.one('LayerNormalization', [x, ...parts], {
      axis: -1,
      epsilon: { float: layer_norm_eps },
    });
  }

  /** The last layer's rows, [batch][tokens][H], of the inputs that Hugging Face's BERT exports have. */
  body(): string {
    const { graph } = this;
    const { config } = this.#model;
    const table = (name: string) => {
      const tensor = this.get(`bert.embeddings.${name}.weight`);
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
    x = this.norm(graph.one('Add', [x, places]), 'bert.embeddings.LayerNorm');
    const mask = attentionMask(graph);
    for (let layer = 0; layer < config.num_hidden_layers; layer++) {
      const name = `bert.encoder.layer.${layer}`;
      const mixed = attention(graph, config, (part) => this.dense(x, `${name}.attention.self.${part}`), mask);
      const attended = graph.one('Add', [this.dense(mixed, `${name}.attention.output.dense`), x]);
      x = this.norm(attended, `${name}.attention.output.LayerNorm`);
      const inner = graph.gelu(this.dense(x, `${name}.intermediate.dense`));
      const added = graph.one('Add', [this.dense(inner, `${name}.output.dense`), x]);
      x = this.norm(added, `${name}.output.LayerNorm`);
    }
    return x;
  }
}

/**
 * Exports a BERT masked-language model to ONNX. The graph consists of the operators that onnxruntime's optimiser fuses
 * (LayerNormalization, Gelu, attention products).
 *
 * @returns the bytes of an ONNX model with the inputs of Hugging Face's BERT exports and output `logits`
 */
export function exportOnnx(model: ModelWeights, { precision, pooled }: OnnxOptions): Buffer {
  const layers = new Layers(model, precision);
  const { graph } = layers;
  const transform = 'cls.predictions.transform';
  const x = layers.norm(
    graph.gelu(layers.dense(layers.body(), `${transform}.dense`)),
    `${transform}.LayerNorm`,
  );
  const words = layers.get('bert.embeddings.word_embeddings.weight');
  const logits = graph.dense(x, words, floats(layers.get('cls.predictions.bias')), precision);
  const { vocab_size } = model.config;
  if (!pooled) graph.output(logits, 'logits', ['batch', 'tokens', vocab_size]);
  else graph.output(maximumOverTokens(graph, logits), 'logits', ['batch', vocab_size]);
  return graph.encode();
}

/**
 * Exports a BERT cross-encoder with one label, as {@link exportOnnx}. Pooler and classifier stay f32: they are one row per pair.
 *
 * @returns the bytes of an ONNX model with output `logits`, [batch][1]
 */
export function exportCrossEncoder(model: ModelWeights, precision: OnnxPrecision): Buffer {
  const layers = new Layers(model, precision);
  const { graph } = layers;
  const exact = (x: string, name: string) =>
    graph.dense(x, layers.get(`${name}.weight`), floats(layers.get(`${name}.bias`)), 'f32');
  const cls = graph.one('Gather', [layers.body(), graph.constant([], BigInt64Array.of(0n))], { axis: 1 });
  const pooler = 'bert.pooler.dense';
  const hasPooler = model.tensors.has(`${pooler}.weight`);
  const pooled = hasPooler ? graph.one('Tanh', [exact(cls, pooler)]) : cls;
  graph.output(exact(pooled, 'classifier'), 'logits', ['batch', 1]);
  return graph.encode();
}

/**
 * Exports the vector output of a document encoder, for batches without padding: the mean of the last states through the map
 * `dense`, scaled to length 1.
 *
 * @returns the bytes of an ONNX model with output `vector`, [batch][size]
 */
export function exportVectorEncoder(model: ModelWeights, precision: OnnxPrecision): Buffer {
  const layers = new Layers(model, precision);
  const { graph } = layers;
  const mean = graph.one('ReduceMean', [layers.body()], { axes: [1], keepdims: 0 });
  const vector = graph.one('LpNormalization', [layers.dense(mean, 'dense')], { axis: -1, p: 2 });
  graph.output(vector, 'vector', ['batch', layers.get('dense.weight').shape[0]!]);
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
  { num_attention_heads: heads, hidden_size: hidden }: TransformerConfig,
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
