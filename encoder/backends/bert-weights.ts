import { WinnowError } from '../../errors.ts';
import {
  type Arena,
  type ArenaLayout,
  type ColumnSpread,
  fillInt8Matrix,
  fillSpread,
  type Int8Matrix,
  type Int8Rows,
  repeatInputs,
  reserveInt8Matrix,
  reserveSpread,
} from '../../kernels/index.ts';
import type { ModelConfig, ModelWeights, Tensor } from '../model-file.ts';

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

export interface LayerWeights {
  /** Absent: every channel has one byte. */
  readonly spreads: LayerSpreads | undefined;
  /** Query, key and value stacked: 3 * hidden outputs, so that one product serves all three. */
  readonly queryKeyValue: Int8Matrix;
  readonly attentionOut: Int8Matrix;
  readonly attentionNorm: NormWeights;
  readonly expand: Int8Matrix;
  readonly shrink: Int8Matrix;
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

  constructor(tensors: ReadonlyMap<string, Tensor>) {
    this.tensors = tensors;
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
 *
 * @throws WinnowError WINNOW_MODEL_INVALID for a shape that the kernels do not support
 */
export function planBody(
  layout: ArenaLayout,
  config: ModelConfig,
  copies?: readonly LayerCopies[],
): { weights: BodyWeights; fill: Filler } {
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
    const width = copies.reduce((sum, own) => sum + own, 0);
    const handle = reserveInt8Matrix(layout, outputs, width);
    fillers.push((arena, source) => {
      const rows = parts.map(([weight, bias]) => source.rows(weight, outputs / parts.length, inputs, bias));
      fillInt8Matrix(arena, handle, width === inputs ? rows : rows.map((part) => repeatInputs(part, copies)));
    });
    return handle;
  };
  const dense = (name: string, outputs: number, inputs: number, copies?: Int32Array) =>
    matrix(outputs, inputs, [[`${name}.weight`, `${name}.bias`]], copies);
  const spread = (copies: Int32Array) => {
    const handle = reserveSpread(layout, copies);
    fillers.push((arena) => fillSpread(arena, handle, copies));
    return handle;
  };
  const norm = (name: string) => planNorm(layout, fillers, name, hidden);
  const table = (name: string, rows: number) => {
    const offset = layout.reserve(4 * rows * hidden);
    fillers.push((arena, source) =>
      arena.floats(offset, rows * hidden).set(source.floats(name, [rows, hidden])),
    );
    return offset;
  };

  const embeddings = 'bert.embeddings';
  const words = reserveInt8Matrix(layout, config.vocab_size, hidden);
  fillers.push((arena, source) => {
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
  config: ModelConfig,
): { weights: SparseHeadWeights; fill: Filler } {
  const hidden = config.hidden_size;
  const fillers: Filler[] = [];
  const name = 'cls.predictions.transform';
  const transform = reserveInt8Matrix(layout, hidden, hidden);
  fillers.push((arena, source) =>
    fillInt8Matrix(arena, transform, [
      source.rows(`${name}.dense.weight`, hidden, hidden, `${name}.dense.bias`),
    ]),
  );
  const weights = { transform, norm: planNorm(layout, fillers, `${name}.LayerNorm`, hidden) };
  return { weights, fill: runAll(fillers) };
}

type Filler = (arena: Arena, source: TensorSource) => void;

const runAll =
  (fillers: readonly Filler[]): Filler =>
  (arena, source) => {
    for (const fill of fillers) fill(arena, source);
  };

function planNorm(layout: ArenaLayout, fillers: Filler[], name: string, hidden: number): NormWeights {
  const place = (part: string): number => {
    const offset = layout.reserve(4 * hidden);
    fillers.push((arena, source) =>
      arena.floats(offset, hidden).set(source.floats(`${name}.${part}`, [hidden])),
    );
    return offset;
  };
  return { gamma: place('weight'), beta: place('bias') };
}

export function tensorSource(model: ModelWeights): TensorSource {
  return new TensorSource(model.tensors);
}
