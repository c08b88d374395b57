import type { TransformerConfig } from '../../transformer/config.ts';
import { TensorSource } from '../../transformer/tensor-source.ts';
import type { Tensor } from '../../transformer/weights-file.ts';

/** New order of a layer's feed-forward channels and attention heads: the number that each place had before. */
export interface LayerOrder {
  readonly channels: readonly number[];
  readonly heads: readonly number[];
}

/**
 * Orders channels and heads by importance, the most important first: the length of what a channel or head reads times the length of what it
 * writes. Trained slices are then contiguous (S2FT, arXiv 2412.06289, section 3.2).
 */
export function orderOf(
  tensors: ReadonlyMap<string, Tensor>,
  { hidden_size: H, intermediate_size: I, num_attention_heads: heads }: TransformerConfig,
  layer: number,
): LayerOrder {
  const source = new TensorSource(tensors);
  const name = `bert.encoder.layer.${layer}`;
  const read = (part: string, rows: number, columns: number) =>
    source.floats(`${name}.${part}.weight`, [rows, columns]);
  const size = H / heads;
  const [value, context] = [read('attention.self.value', H, H), read('attention.output.dense', H, H)];
  const [inner, output] = [read('intermediate.dense', I, H), read('output.dense', H, I)];
  const headScore = (head: number) =>
    lengthOf(H * size, (i) => value[head * size * H + i]!) *
    lengthOf(H * size, (i) => context[Math.floor(i / size) * H + head * size + (i % size)]!);
  const channelScore = (channel: number) =>
    lengthOf(H, (k) => inner[channel * H + k]!) * lengthOf(H, (k) => output[k * I + channel]!);
  return { channels: byScore(I, channelScore), heads: byScore(heads, headScore) };
}

function lengthOf(count: number, value: (i: number) => number): number {
  let sum = 0;
  for (let i = 0; i < count; i++) sum += value(i) ** 2;
  return Math.sqrt(sum);
}

function byScore(count: number, score: (i: number) => number): number[] {
  const scores = Array.from({ length: count }, (_, i) => score(i));
  return scores.map((_, i) => i).sort((a, b) => scores[b]! - scores[a]! || a - b);
}

/** The same model with the channels and heads of a layer in another order: its results are the same. */
export function reorder(
  tensors: ReadonlyMap<string, Tensor>,
  { hidden_size: H, num_attention_heads: heads }: TransformerConfig,
  layer: number,
  order: LayerOrder,
): Map<string, Tensor> {
  const name = `bert.encoder.layer.${layer}`;
  const size = H / heads;
  const headRows = order.heads.flatMap((head) => Array.from({ length: size }, (_, i) => head * size + i));
  const changed = new Map(tensors);
  const change = (part: string, kind: 'rows' | 'columns', places: readonly number[]) => {
    const key = `${name}.${part}`;
    const tensor = tensors.get(key);
    if (tensor) changed.set(key, kind === 'rows' ? pickRows(tensor, places) : pickColumns(tensor, places));
  };
  for (const part of ['query', 'key', 'value'])
    for (const kind of ['weight', 'bias']) change(`attention.self.${part}.${kind}`, 'rows', headRows);
  change('attention.output.dense.weight', 'columns', headRows);
  for (const kind of ['weight', 'bias']) change(`intermediate.dense.${kind}`, 'rows', order.channels);
  change('output.dense.weight', 'columns', order.channels);
  return changed;
}

function pickRows(tensor: Tensor, places: readonly number[]): Tensor {
  const columns = tensor.data.length / places.length;
  const data = tensor.data.slice();
  places.forEach((from, to) => {
    data.set(tensor.data.subarray(from * columns, (from + 1) * columns), to * columns);
  });
  if (tensor.dtype === 'f32') return { ...tensor, data: data as Float32Array };
  const scales = Float32Array.from(places, (from) => tensor.scales[from]!);
  return { ...tensor, data: data as Int8Array, scales };
}

/** A pattern of zeros along the inputs does not outlive another order of them. */
function pickColumns(tensor: Tensor, places: readonly number[]): Tensor {
  const columns = places.length;
  const data = tensor.data.map((_, i) => tensor.data[i - (i % columns) + places[i % columns]!]!);
  if (tensor.dtype === 'f32') return { ...tensor, data: data as Float32Array };
  return { dtype: 'i8', shape: tensor.shape, data: data as Int8Array, scales: tensor.scales };
}
