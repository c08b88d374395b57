import { WinnowError } from '../../errors.ts';
import {
  type Arena,
  type ArenaLayout,
  type ColumnSpread,
  detectN16,
  fillInt8Matrix,
  fillN16Matrix,
  fillSpread,
  type Int8Matrix,
  type Int8Rows,
  type N16Matrix,
  repeatInputs,
  reserveInt8Matrix,
  reserveN16Matrix,
  reserveSpread,
} from '../../kernels/index.ts';
import type { ModelWeights, Tensor } from '../model-file.ts';

/** LayerNorm parameters in the arena, f32[hidden] each. */
export interface NormWeights {
  readonly gamma: number;
  readonly beta: number;
}

/** How the quantised inputs of a layer's products deal out their outlying channels; see kernels/spread.ts. */
export interface LayerSpreads {
  readonly queryKeyValue: ColumnSpread;
  readonly expand: ColumnSpread;
  readonly shrink: ColumnSpread;
}

/** Bytes of each input channel of a layer's products, as calibration chose them. */
export type LayerCopies = { readonly [point in keyof LayerSpreads]: Int32Array };

/** Weights of a layer's product: pruned to 4:16 or 8:16 where the zeros of the model allow it, else dense. */
export type LayerMatrix = Int8Matrix | N16Matrix;

export interface LayerWeights {
  /** Absent: every channel has one byte. */
  readonly spreads: LayerSpreads | undefined;
  /** Query, key and value stacked: 3 * hidden outputs, so that one product serves all three. */
  readonly queryKeyValue: LayerMatrix;
  readonly attentionOut: LayerMatrix;
  readonly attentionNorm: NormWeights;
  readonly expand: LayerMatrix;
  readonly shrink: LayerMatrix;
  readonly outputNorm: NormWeights;
}

/** Where each weight of a BERT body lies in the arena; plain data, so a worker thread gets it by message. */
export interface BodyWeights {
  readonly hidden: number;
  readonly heads: number;
  readonly inner: number;
  readonly epsilon: number;
  /** Word embeddings; also the decoder of a masked-language-model head (tied), whose bias it carries. */
  readonly words: Int8Matrix;
  readonly places: number;
  readonly placeCount: number;
  readonly kinds: number;
  readonly kindCount: number;
  readonly embeddingNorm: NormWeights;
  readonly layers: readonly LayerWeights[];
}

/** The masked-language-model head: dense, GELU, LayerNorm, then the tied decoder with its bias. */
export interface SparseHeadWeights {
  readonly transform: Int8Matrix;
  readonly norm: NormWeights;
}

/** Reads tensors by name and checks their shapes; every complaint names the tensor. */
class TensorSource {
  readonly tensors: ReadonlyMap<string, Tensor>;
  readonly hidden: number;

  constructor({ tensors, config }: ModelWeights) {
    this.tensors = tensors;
    this.hidden = config.hidden_size;
  }

  /** A vector of the hidden size. */
  vector(name: string): Float32Array {
    return this.floats(name, [this.hidden]);
  }

  rows(name: string, outputs: number, inputs: number, biasName?: string): Int8Rows {
    const tensor = this.#get(name, [outputs, inputs]);
    const bias = biasName === undefined ? undefined : this.floats(biasName, [outputs]);
    if (tensor.dtype === 'i8') return { data: tensor.data, scales: tensor.scales, bias };
    return { ...quantizeWeightRows(tensor.data, outputs, inputs), bias };
  }

  has(name: string): boolean {
    return this.tensors.has(name);
  }

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
    const tensor = this.tensors.get(name);
    if (tensor === undefined) {
      throw new WinnowError('WINNOW_MODEL_INVALID', `the model has no tensor ${name}`, { place: name });
    }
    if (tensor.shape.join('x') !== shape.join('x')) {
      throw new WinnowError(
        'WINNOW_MODEL_INVALID',
        `tensor has shape ${tensor.shape.join('x')}, config.json asks for ${shape.join('x')}`,
        { place: name },
      );
    }
    return tensor;
  }
}

/** Symmetric int8 per row, -127..127: what model files hold, for weights that come as f32. */
export function quantizeWeightRows(values: Float32Array, outputs: number, inputs: number): Int8Rows {
  const data = new Int8Array(outputs * inputs);
  const scales = new Float32Array(outputs);
  for (let n = 0; n < outputs; n++) {
    let top = 0;
    for (let k = 0; k < inputs; k++) top = Math.max(top, Math.abs(values[n * inputs + k]!));
    scales[n] = top / 127;
    const inverse = top > 0 ? 127 / top : 0;
    for (let k = 0; k < inputs; k++) data[n * inputs + k] = Math.round(values[n * inputs + k]! * inverse);
  }
  return { data, scales };
}

/**
 * Reserves a BERT body in `layout`; the returned `fill` copies the tensors once the arena exists.
 *
 * @param copies bytes of the input channels of each layer, from calibration; absent: one each
 * @param skipsZeros whether to pack pruned layers for the N:16 kernel, see {@link KernelLibrary.skipsZeros}
 *
 * @throws WinnowError WINNOW_MODEL_INVALID for a shape that the kernels do not support
 */
export function planBody(
  layout: ArenaLayout,
  model: ModelWeights,
  { copies, skipsZeros = true }: { copies?: readonly LayerCopies[] | undefined; skipsZeros?: boolean } = {},
): { weights: BodyWeights; fill: Filler } {
  const { config } = model;
  const source = new TensorSource(model);
  const { hidden_size: hidden, num_attention_heads: heads, intermediate_size: inner } = config;
  if (hidden % heads !== 0 || (hidden / heads) % 16 !== 0) {
    throw new WinnowError('WINNOW_MODEL_INVALID', `${heads} heads of ${hidden / heads} are not supported`, {
      hint: 'hidden_size / num_attention_heads must be a multiple of 16',
    });
  }
  const fillers: Filler[] = [];
  const matrix = (
    outputs: number,
    inputs: number,
    parts: readonly [weight: string, bias?: string][],
    copies: Int32Array = new Int32Array(inputs).fill(1),
  ) => {
    const rows = stackRows(
      parts.map(([weight, bias]) =>
        repeatInputs(source.rows(weight, outputs / parts.length, inputs, bias), copies),
      ),
    );
    const width = rows.data.length / outputs;
    const passes = skipsZeros ? detectN16(rows.data, width) : undefined;
    if (passes === undefined) {
      const handle = reserveInt8Matrix(layout, outputs, width);
      fillers.push((arena) => fillInt8Matrix(arena, handle, [rows]));
      return handle;
    }
    const handle = reserveN16Matrix(layout, outputs, width, passes);
    fillers.push((arena) => fillN16Matrix(arena, handle, rows));
    return handle;
  };
  const dense = (name: string, outputs: number, inputs: number, copies?: Int32Array) =>
    matrix(outputs, inputs, [[`${name}.weight`, `${name}.bias`]], copies);
  const spread = (copies: Int32Array) => {
    const handle = reserveSpread(layout, copies);
    fillers.push((arena) => fillSpread(arena, handle, copies));
    return handle;
  };
  const norm = (name: string) => planNorm(layout, fillers, source, name);
  const table = (name: string, rows: number) => {
    const offset = layout.reserve(4 * rows * hidden);
    fillers.push((arena) => arena.floats(offset, rows * hidden).set(source.floats(name, [rows, hidden])));
    return offset;
  };

  const embeddings = 'bert.embeddings';
  const words = reserveInt8Matrix(layout, config.vocab_size, hidden);
  fillers.push((arena) => {
    const name = `${embeddings}.word_embeddings.weight`;
    const decoderBias = source.has('cls.predictions.bias') ? 'cls.predictions.bias' : undefined;
    fillInt8Matrix(arena, words, [source.rows(name, config.vocab_size, hidden, decoderBias)]);
  });
  const weights: BodyWeights = {
    hidden,
    heads,
    inner,
    epsilon: config.layer_norm_eps,
    words,
    places: table(`${embeddings}.position_embeddings.weight`, config.max_position_embeddings),
    placeCount: config.max_position_embeddings,
    kinds: table(`${embeddings}.token_type_embeddings.weight`, config.type_vocab_size),
    kindCount: config.type_vocab_size,
    embeddingNorm: norm(`${embeddings}.LayerNorm`),
    layers: Array.from({ length: config.num_hidden_layers }, (_, index) => {
      const layer = `bert.encoder.layer.${index}`;
      const self = (part: string): [string, string] => [
        `${layer}.attention.self.${part}.weight`,
        `${layer}.attention.self.${part}.bias`,
      ];
      const own = copies?.[index];
      return {
        spreads: own && {
          queryKeyValue: spread(own.queryKeyValue),
          expand: spread(own.expand),
          shrink: spread(own.shrink),
        },
        queryKeyValue: matrix(
          3 * hidden,
          hidden,
          [self('query'), self('key'), self('value')],
          own?.queryKeyValue,
        ),
        attentionOut: dense(`${layer}.attention.output.dense`, hidden, hidden),
        attentionNorm: norm(`${layer}.attention.output.LayerNorm`),
        expand: dense(`${layer}.intermediate.dense`, inner, hidden, own?.expand),
        shrink: dense(`${layer}.output.dense`, hidden, inner, own?.shrink),
        outputNorm: norm(`${layer}.output.LayerNorm`),
      };
    }),
  };
  return { weights, fill: runAll(fillers) };
}

/** Reserves the masked-language-model head; its decoder is {@link BodyWeights.words}. */
export function planSparseHead(
  layout: ArenaLayout,
  model: ModelWeights,
): { weights: SparseHeadWeights; fill: Filler } {
  const hidden = model.config.hidden_size;
  const source = new TensorSource(model);
  const fillers: Filler[] = [];
  const name = 'cls.predictions.transform';
  const transform = reserveInt8Matrix(layout, hidden, hidden);
  fillers.push((arena) =>
    fillInt8Matrix(arena, transform, [
      source.rows(`${name}.dense.weight`, hidden, hidden, `${name}.dense.bias`),
    ]),
  );
  const weights = { transform, norm: planNorm(layout, fillers, source, `${name}.LayerNorm`) };
  return { weights, fill: runAll(fillers) };
}

/** Copies the planned tensors into the arena. */
type Filler = (arena: Arena) => void;

const runAll =
  (fillers: readonly Filler[]): Filler =>
  (arena) => {
    for (const fill of fillers) fill(arena);
  };

function planNorm(layout: ArenaLayout, fillers: Filler[], source: TensorSource, name: string): NormWeights {
  const place = (part: string): number => {
    const values = source.vector(`${name}.${part}`);
    const offset = layout.reserve(4 * values.length);
    fillers.push((arena) => arena.floats(offset, values.length).set(values));
    return offset;
  };
  return { gamma: place('weight'), beta: place('bias') };
}

/** Rows of several matrices of as many inputs, one below the other. */
function stackRows(parts: readonly Int8Rows[]): Int8Rows {
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
