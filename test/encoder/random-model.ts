import type { ModelConfig } from '../../encoder/model.ts';
import type { ModelWeights, Tensor } from '../../encoder/transformer/weights-file.ts';
import { randomSource } from '../kernels/helpers.ts';

/** A BERT masked-language model with random f32 weights, small enough for the reference backend. */
export function randomModel(seed: number, overrides: Partial<ModelConfig> = {}): ModelWeights<ModelConfig> {
  const config: ModelConfig = {
    hidden_size: 32,
    num_hidden_layers: 2,
    num_attention_heads: 2,
    intermediate_size: 64,
    vocab_size: 211,
    max_position_embeddings: 40,
    type_vocab_size: 2,
    layer_norm_eps: 1e-12,
    winnow: { activation: 'log1p', exponent: 1, maxWeight: 3 },
    ...overrides,
  };
  const random = randomSource(seed);
  const tensors = new Map<string, Tensor>();
  const add = (name: string, shape: number[], width: number, center = 0) => {
    const count = shape.reduce((product, size) => product * size, 1);
    const data = Float32Array.from({ length: count }, () => center + (random() - 0.5) * width);
    tensors.set(name, { dtype: 'f32', shape, data });
  };
  const { hidden_size: H, intermediate_size: I, vocab_size: V } = config;
  const dense = (name: string, outputs: number, inputs: number) => {
    add(`${name}.weight`, [outputs, inputs], 4 / Math.sqrt(inputs));
    add(`${name}.bias`, [outputs], 0.2);
  };
  const norm = (name: string) => {
    add(`${name}.weight`, [H], 0.4, 1);
    add(`${name}.bias`, [H], 0.2);
  };
  add('bert.embeddings.word_embeddings.weight', [V, H], 1);
  add('bert.embeddings.position_embeddings.weight', [config.max_position_embeddings, H], 0.5);
  add('bert.embeddings.token_type_embeddings.weight', [config.type_vocab_size, H], 0.2);
  norm('bert.embeddings.LayerNorm');
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    const name = `bert.encoder.layer.${layer}`;
    for (const part of ['query', 'key', 'value']) dense(`${name}.attention.self.${part}`, H, H);
    dense(`${name}.attention.output.dense`, H, H);
    norm(`${name}.attention.output.LayerNorm`);
    dense(`${name}.intermediate.dense`, I, H);
    dense(`${name}.output.dense`, H, I);
    norm(`${name}.output.LayerNorm`);
  }
  dense('cls.predictions.transform.dense', H, H);
  norm('cls.predictions.transform.LayerNorm');
  add('cls.predictions.bias', [V], 0.2);
  return { config, tensors };
}

/** The last layer's rows in double precision, straight from the definition of BERT: [tokens][hidden]. */
export function exactStates(
  model: ModelWeights,
  ids: readonly number[],
  typeIds: readonly number[] = ids.map(() => 0),
): number[][] {
  const { hidden_size: H, num_attention_heads: heads, num_hidden_layers, intermediate_size } = model.config;
  const { get, dense, norm } = operations(model);
  const add = (a: number[][], b: number[][]) => a.map((row, t) => row.map((v, k) => v + b[t]![k]!));
  const [words, positions, types] = ['word', 'position', 'token_type'].map((kind) =>
    get(`bert.embeddings.${kind}_embeddings.weight`),
  );
  const embeddings = ids.map((id, t) =>
    Array.from(
      { length: H },
      (_, k) => words![id * H + k]! + positions![t * H + k]! + types![typeIds[t]! * H + k]!,
    ),
  );
  let x = norm(embeddings, 'bert.embeddings.LayerNorm');
  for (let layer = 0; layer < num_hidden_layers; layer++) {
    const name = `bert.encoder.layer.${layer}`;
    const [q, k, v] = ['query', 'key', 'value'].map((part) => dense(x, `${name}.attention.self.${part}`, H));
    const mixed = attend(q!, k!, v!, heads);
    x = norm(add(dense(mixed, `${name}.attention.output.dense`, H), x), `${name}.attention.output.LayerNorm`);
    const inner = dense(x, `${name}.intermediate.dense`, intermediate_size).map((row) => row.map(gelu));
    x = norm(add(dense(inner, `${name}.output.dense`, H), x), `${name}.output.LayerNorm`);
  }
  return x;
}

/** Dense logits of the masked-language-model head on {@link exactStates}: [tokens][vocabulary]. */
export function exactLogits(model: ModelWeights, ids: readonly number[]): number[][] {
  const { hidden_size, vocab_size } = model.config;
  const { get, dense, norm } = operations(model);
  const transform = 'cls.predictions.transform';
  const transformed = dense(exactStates(model, ids), `${transform}.dense`, hidden_size);
  const rows = norm(
    transformed.map((row) => row.map(gelu)),
    `${transform}.LayerNorm`,
  );
  return rows.map((row) =>
    linear(row, get('bert.embeddings.word_embeddings.weight'), get('cls.predictions.bias'), vocab_size),
  );
}

function operations({ config: { hidden_size: H, layer_norm_eps: epsilon }, tensors }: ModelWeights) {
  const get = (name: string) => tensors.get(name)!.data;
  const dense = (rows: number[][], name: string, outputs: number) =>
    rows.map((row) => linear(row, get(`${name}.weight`), get(`${name}.bias`), outputs));
  const norm = (rows: number[][], name: string) =>
    rows.map((row) => {
      const mean = row.reduce((sum, v) => sum + v, 0) / H;
      const variance = row.reduce((sum, v) => sum + (v - mean) ** 2, 0) / H;
      const [gamma, beta] = [get(`${name}.weight`), get(`${name}.bias`)];
      return row.map((v, k) => ((v - mean) / Math.sqrt(variance + epsilon)) * gamma[k]! + beta[k]!);
    });
  return { get, dense, norm };
}

function linear(row: number[], w: ArrayLike<number>, bias: ArrayLike<number>, outputs: number): number[] {
  return Array.from({ length: outputs }, (_, n) =>
    row.reduce((sum, value, k) => sum + value * w[n * row.length + k]!, bias[n]!),
  );
}

function attend(q: number[][], k: number[][], v: number[][], heads: number): number[][] {
  const size = q[0]!.length / heads;
  return q.map((query) => {
    const out: number[] = [];
    for (let h = 0; h < heads; h++) {
      const part = (row: number[]) => row.slice(h * size, (h + 1) * size);
      const own = part(query);
      const scores = k.map(
        (key) => part(key).reduce((sum, value, i) => sum + value * own[i]!, 0) / Math.sqrt(size),
      );
      const top = Math.max(...scores);
      const e = scores.map((score) => Math.exp(score - top));
      const total = e.reduce((sum, value) => sum + value, 0);
      for (let i = 0; i < size; i++) {
        out.push(v.reduce((sum, row, t) => sum + (e[t]! / total) * row[h * size + i]!, 0));
      }
    }
    return out;
  });
}

/** GELU by numerical integration of the normal density (Simpson): independent of the kernels' approximation. */
function gelu(x: number): number {
  const steps = 200;
  const bound = Math.min(Math.abs(x), 9);
  let area = 0;
  for (let i = 0; i <= steps; i++) {
    const z = (bound * i) / steps;
    area += Math.exp((-z * z) / 2) * (i === 0 || i === steps ? 1 : i % 2 ? 4 : 2);
  }
  const half = (area * bound) / steps / 3 / Math.sqrt(2 * Math.PI);
  return x * (0.5 + Math.sign(x) * half);
}
