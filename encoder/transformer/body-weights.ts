import { WinnowError } from '../../errors.ts';
import type { ColumnSpread, Int8Matrix } from '../../kernels/index.ts';
import type { TransformerConfig } from './config.ts';
import type { WeightMatrix } from './weight-matrix.ts';
import type { NormWeights, WeightName, WeightPlanner } from './weight-planner.ts';

/** A product of a layer whose input channels may be split. */
export type SplitProduct = 'queryKeyValue' | 'intermediate' | 'output';

/**
 * Outlier channel splits of the quantised inputs of a layer's products; see kernels/rows/spread.ts. Undefined: every
 * channel has one byte.
 */
export type LayerOutlierSplits = { readonly [product in SplitProduct]: ColumnSpread | undefined };

/** Bytes of each input channel of a layer's products, as calibration chose them; undefined: one each. */
export type LayerChannelCopies = { readonly [product in SplitProduct]: Int32Array | undefined };

/** Which of the last layer's rows a head reads: all of them, or the first one of each sequence ([CLS]). */
export type LastRows = 'all' | 'first';

/** Products and norms of one layer behind its attention, named as in BERT. H = hidden size, I = intermediate size. */
export interface FeedForwardWeights {
  readonly outlierSplits: LayerOutlierSplits;
  /** [H][H] */
  readonly attentionOutput: WeightMatrix;
  readonly attentionNorm: NormWeights;
  /** [I][H] */
  readonly intermediate: WeightMatrix;
  /** [H][I] */
  readonly output: WeightMatrix;
  readonly outputNorm: NormWeights;
}

/** A layer that computes all rows. */
export interface LayerWeights extends FeedForwardWeights {
  /** [3 H][H]: query, key and value stacked, so that one product serves all three. */
  readonly queryKeyValue: WeightMatrix;
}

/** A last layer of which only the first row of each sequence is read: all rows are keys and values, the first ones ask. */
export interface FirstRowsLayerWeights extends FeedForwardWeights {
  /** [H][H] */
  readonly query: WeightMatrix;
  /** [2 H][H]: key and value stacked. */
  readonly keyValue: WeightMatrix;
}

/** Where each weight of a BERT body lies in the arena; plain data, so a worker thread gets it by message. */
export interface BodyWeights {
  readonly hiddenSize: number;
  readonly attentionHeads: number;
  readonly intermediateSize: number;
  readonly layerNormEpsilon: number;
  /** [vocabulary][H], without bias. A head may tie its decoder to it. */
  readonly wordEmbeddings: Int8Matrix;
  /** f32[maxPositions][H] */
  readonly positionEmbeddings: number;
  readonly maxPositions: number;
  /** f32[tokenTypes][H] */
  readonly tokenTypeEmbeddings: number;
  readonly tokenTypes: number;
  readonly embeddingNorm: NormWeights;
  /** The layers that compute all rows. */
  readonly layers: readonly LayerWeights[];
  /** The layer after them, where heads read first rows only. */
  readonly firstRowsLayer: FirstRowsLayerWeights | undefined;
}

/** All layers, in order. */
export const allLayers = ({ layers, firstRowsLayer }: BodyWeights): readonly FeedForwardWeights[] =>
  firstRowsLayer === undefined ? layers : [...layers, firstRowsLayer];

/**
 * Plans the body of a BERT model; reads no tensor of any head.
 *
 * @param lastRows which rows of the last layer are read
 * @param channelCopies bytes of the input channels of each layer, from calibration; absent: one each
 * @throws WinnowError WINNOW_MODEL_INVALID for a shape that the kernels do not support
 */
export function planBody(
  planner: WeightPlanner,
  config: TransformerConfig,
  lastRows: LastRows,
  channelCopies?: readonly LayerChannelCopies[],
): BodyWeights {
  const { hidden_size: hiddenSize, num_attention_heads: attentionHeads } = config;
  const headSize = hiddenSize / attentionHeads;
  if (hiddenSize % attentionHeads !== 0 || headSize % 16 !== 0) {
    throw new WinnowError(
      'WINNOW_MODEL_INVALID',
      `${attentionHeads} heads of ${headSize} are not supported`,
      { hint: 'hidden_size / num_attention_heads must be a multiple of 16' },
    );
  }
  const whole = config.num_hidden_layers - (lastRows === 'first' ? 1 : 0);
  const layerOf = (index: number) => new LayerPlanner(planner, config, index, channelCopies?.[index]);
  const table = (name: string, rows: number) =>
    planner.floats(`bert.embeddings.${name}.weight`, [rows, hiddenSize]);
  return {
    hiddenSize,
    attentionHeads,
    intermediateSize: config.intermediate_size,
    layerNormEpsilon: config.layer_norm_eps,
    wordEmbeddings: planner.int8Matrix(
      ['bert.embeddings.word_embeddings.weight'],
      config.vocab_size,
      hiddenSize,
    ),
    positionEmbeddings: table('position_embeddings', config.max_position_embeddings),
    maxPositions: config.max_position_embeddings,
    tokenTypeEmbeddings: table('token_type_embeddings', config.type_vocab_size),
    tokenTypes: config.type_vocab_size,
    embeddingNorm: planner.layerNorm('bert.embeddings.LayerNorm', hiddenSize),
    layers: Array.from({ length: whole }, (_, index) => layerOf(index).whole()),
    firstRowsLayer: lastRows === 'first' ? layerOf(whole).firstRows() : undefined,
  };
}

/** Plans one layer. */
class LayerPlanner {
  readonly #planner: WeightPlanner;
  readonly #hidden: number;
  readonly #inner: number;
  readonly #layer: string;
  readonly #copies: LayerChannelCopies | undefined;

  constructor(
    planner: WeightPlanner,
    { hidden_size, intermediate_size }: TransformerConfig,
    index: number,
    copies: LayerChannelCopies | undefined,
  ) {
    this.#planner = planner;
    this.#hidden = hidden_size;
    this.#inner = intermediate_size;
    this.#layer = `bert.encoder.layer.${index}`;
    this.#copies = copies;
  }

  whole(): LayerWeights {
    return { ...this.#feedForward(), queryKeyValue: this.#projection('query', 'key', 'value') };
  }

  firstRows(): FirstRowsLayerWeights {
    return {
      ...this.#feedForward(),
      query: this.#projection('query'),
      keyValue: this.#projection('key', 'value'),
    };
  }

  #named(name: string): WeightName {
    return [`${this.#layer}.${name}.weight`, `${this.#layer}.${name}.bias`];
  }

  #projection(...parts: readonly string[]): WeightMatrix {
    const names = parts.map((part) => this.#named(`attention.self.${part}`));
    const { queryKeyValue } = this.#copies ?? {};
    return this.#planner.product(names, parts.length * this.#hidden, this.#hidden, queryKeyValue);
  }

  #split(product: SplitProduct): ColumnSpread | undefined {
    const copies = this.#copies?.[product];
    return copies && this.#planner.outlierSplit(copies);
  }

  #feedForward(): FeedForwardWeights {
    const planner = this.#planner;
    const [hidden, inner, copies] = [this.#hidden, this.#inner, this.#copies];
    return {
      outlierSplits: {
        queryKeyValue: this.#split('queryKeyValue'),
        intermediate: this.#split('intermediate'),
        output: this.#split('output'),
      },
      attentionOutput: planner.product([this.#named('attention.output.dense')], hidden, hidden),
      attentionNorm: planner.layerNorm(`${this.#layer}.attention.output.LayerNorm`, hidden),
      intermediate: planner.product([this.#named('intermediate.dense')], inner, hidden, copies?.intermediate),
      output: planner.product([this.#named('output.dense')], hidden, inner, copies?.output),
      outputNorm: planner.layerNorm(`${this.#layer}.output.LayerNorm`, hidden),
    };
  }
}
