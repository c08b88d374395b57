import {
  type ArenaLayout,
  type ArenaMemory,
  attentionBackwardScratchBytes,
  attentionScratchBytes,
  type KernelBackend,
  type KernelLibrary,
  reserveF32Matrix,
  reserveInt8Matrix,
  reserveQuantizedRows,
} from '../../../kernels/index.ts';
import type { ModelConfig } from '../../model.ts';
import type { TransformerConfig } from '../../transformer/config.ts';
import type { Tensor } from '../../transformer/weights-file.ts';
import type { EmbeddingActivations, EmbeddingParameters, TokenRows } from '../passes/embedding.ts';
import type { LayerActivations, LayerGradients, LayerParameters, LayerShape } from '../passes/layer.ts';
import type { NormActivations } from '../passes/norm.ts';
import type { PairHeadActivations, PairHeadParameters } from '../passes/pair-head.ts';
import { type SparseHeadActivations, type SparseHeadParameters, termStride } from '../passes/sparse-head.ts';
import type { VectorHeadActivations } from '../passes/vector-head.ts';
import { type BodyScope, embeddingParameters, layerParameters } from './body-parameters.ts';
import { type LinearParameters, type Parameter, ParameterPlanner } from './parameters.ts';
import { TEAM_WORDS } from './team.ts';

/** What a batch may hold. */
export interface TrainingLimits {
  readonly rows: number;
  readonly sequences: number;
  /** Tokens of a sequence. */
  readonly longest: number;
}

/** Which outputs are computed and trained. */
export interface Outputs {
  readonly sparse: boolean;
  readonly vector: boolean;
  readonly pair: boolean;
}

export interface PlanOptions {
  readonly scope: BodyScope;
  readonly outputs: Outputs;
  readonly limits: TrainingLimits;
  readonly threads: number;
  /** Decoder products in f32 instead of the product's int8. */
  readonly exact?: boolean;
}

/** The sparse head with buffers for the pairs that have a gradient. */
interface SparsePlan {
  readonly parameters: SparseHeadParameters;
  readonly activations: SparseHeadActivations;
  readonly pairs: { readonly rows: number; readonly terms: number; readonly gradients: number };
  /** Pairs of a batch at most. */
  readonly pairCapacity: number;
}

interface VectorPlan {
  readonly parameters: LinearParameters;
  readonly activations: VectorHeadActivations;
  readonly dVectors: number;
  readonly dMeans: number;
}

interface PairPlan {
  readonly parameters: PairHeadParameters;
  readonly activations: PairHeadActivations;
  readonly dLogits: number;
  readonly dPooled: number;
  readonly dFirst: number;
}

/** Where everything of a run lies in the arena; plain data, so that threads get it by message. */
export interface TrainingPlan {
  readonly backend: KernelBackend;
  readonly limits: TrainingLimits;
  readonly team: number;
  readonly threads: readonly { readonly stack: number; readonly scratch: number }[];
  readonly shape: LayerShape;
  /** i32[sequences + 1] */
  readonly starts: number;
  readonly tokens: TokenRows;
  readonly embedding:
    | { readonly parameters: EmbeddingParameters; readonly activations: EmbeddingActivations }
    | undefined;
  /** [T][H]: what the first trained layer takes; the embeddings' result, or states of the frozen body. */
  readonly input: number;
  readonly layers: readonly {
    readonly parameters: LayerParameters;
    readonly activations: LayerActivations;
  }[];
  readonly sparse: SparsePlan | undefined;
  readonly vector: VectorPlan | undefined;
  readonly pair: PairPlan | undefined;
  readonly gradients: LayerGradients;
  /** [T][H] each: the gradient of a layer's result, and of what it took. */
  readonly dStream: readonly [number, number];
  readonly parameters: readonly Parameter[];
  /** f32[{@link MAX_PIECES}] */
  readonly partialSums: number;
}

/** A plan with the memory that it is for. */
export interface TrainingContext {
  readonly plan: TrainingPlan;
  readonly memory: ArenaMemory;
}

/** Pieces of parameters that are updated one by one, at most (engine/update.ts). */
export const MAX_PIECES = 65_536;

/** f32 per row of a batch: activations and gradients of `layers` layers, and the sparse head. */
export const floatsPerRow = (
  { hidden_size: H, intermediate_size: I }: TransformerConfig,
  { layers, embeddings }: BodyScope,
): number =>
  layers * (8 * H + 2 * I + 2) + (embeddings ? 3 * H : H) + 7 * H + H / 4 + (layers > 0 ? 5 * H + I : 0);

/**
 * Reserves the parameters, activations and gradients of a run.
 *
 * @throws WinnowError WINNOW_MODEL_INVALID for a missing or misshapen tensor, WINNOW_BAD_ARGUMENT for more than 4 GiB
 */
export function planTraining(
  layout: ArenaLayout,
  library: KernelLibrary,
  config: TransformerConfig,
  tensors: ReadonlyMap<string, Tensor>,
  options: PlanOptions,
): { readonly plan: TrainingPlan; readonly planner: ParameterPlanner } {
  const planner = new ParameterPlanner(layout, tensors);
  const { scope, outputs, limits } = options;
  const { hidden_size: H, intermediate_size: I, num_attention_heads: heads } = config;
  const rows = (columns: number) => layout.reserve(4 * limits.rows * columns);
  const norm = () => ({ normal: rows(H), inverse: rows(1) });
  const hasBody = scope.layers > 0;
  const embedding = scope.embeddings
    ? { parameters: embeddingParameters(planner, config), activations: { norm: norm(), out: rows(H) } }
    : undefined;
  const words = embedding?.parameters.words;
  const plan: TrainingPlan = {
    backend: library.backend,
    limits,
    team: layout.reserve(4 * TEAM_WORDS),
    threads: Array.from({ length: options.threads }, () => ({
      stack: layout.reserve(library.stackBytes),
      scratch: layout.reserve(
        Math.max(
          attentionBackwardScratchBytes(limits.longest),
          attentionScratchBytes(limits.longest, H / heads),
        ),
      ),
    })),
    shape: { hiddenSize: H, intermediateSize: I, attentionHeads: heads, epsilon: config.layer_norm_eps },
    starts: layout.reserve(4 * (limits.sequences + 1)),
    tokens: { ids: rows(1), positions: rows(1), types: rows(1) },
    embedding,
    input: embedding?.activations.out ?? rows(H),
    layers: planLayers(planner, config, scope, { rows, norm }),
    sparse: outputs.sparse ? planSparse(layout, planner, config as ModelConfig, options, words) : undefined,
    vector: outputs.vector ? planVector(layout, planner, config as ModelConfig, limits) : undefined,
    pair: outputs.pair ? planPair(layout, planner, config, limits) : undefined,
    gradients: {
      dSum: rows(H),
      dMiddle: rows(H),
      dContext: hasBody ? rows(H) : 0,
      dInner: hasBody ? rows(I) : 0,
      dQueryKeyValue: hasBody ? rows(3 * H) : 0,
    },
    dStream: hasBody ? [rows(H), rows(H)] : [0, 0],
    parameters: planner.all,
    partialSums: layout.reserve(4 * MAX_PIECES),
  };
  return { plan, planner };
}

/** Rows of a batch in the arena: `rows(columns)` is the offset of f32[T][columns]. */
interface RowBuffers {
  readonly rows: (columns: number) => number;
  readonly norm: () => NormActivations;
}

/** The upper layers, which are trained. */
function planLayers(
  planner: ParameterPlanner,
  config: TransformerConfig,
  scope: BodyScope,
  { rows, norm }: RowBuffers,
): TrainingPlan['layers'] {
  const { hidden_size: H, intermediate_size: I } = config;
  const firstLayer = config.num_hidden_layers - scope.layers;
  return Array.from({ length: scope.layers }, (_, i) => ({
    parameters: layerParameters(planner, config, firstLayer + i, scope.slice),
    activations: {
      queryKeyValue: rows(3 * H),
      context: rows(H),
      attentionNorm: norm(),
      middle: rows(H),
      inner: rows(I),
      active: rows(I),
      outputNorm: norm(),
      out: rows(H),
    },
  }));
}

function planSparse(
  layout: ArenaLayout,
  planner: ParameterPlanner,
  { hidden_size: H, vocab_size: V }: ModelConfig,
  { limits, exact }: PlanOptions,
  words: Parameter | undefined,
): SparsePlan {
  const transform = 'cls.predictions.transform';
  const all = { weight: true, bias: true };
  const rows = (columns: number) => layout.reserve(4 * limits.rows * columns);
  const decoderBias = planner.vector(['cls.predictions.bias'], V, true);
  const packed = exact
    ? { kind: 'f32' as const, matrix: { ...reserveF32Matrix(layout, V, H), bias: decoderBias.offset } }
    : { kind: 'int8' as const, matrix: { ...reserveInt8Matrix(layout, V, H), bias: decoderBias.offset } };
  const stride = termStride(V);
  const byTerm = () => layout.reserve(4 * limits.sequences * stride);
  // A row of the vocabulary per sequence holds the terms that are on, and the same again those that are forced.
  const pairCapacity = 2 * limits.sequences * stride;
  return {
    parameters: {
      transform: planner.linear([`${transform}.dense`], H, H, all),
      norm: planner.norm(`${transform}.LayerNorm`, H, true),
      decoder: words ?? planner.matrix(['bert.embeddings.word_embeddings.weight'], V, H, false),
      decoderBias,
      packed,
    },
    activations: {
      inner: rows(H),
      active: rows(H),
      norm: { normal: rows(H), inverse: rows(1) },
      states: rows(H),
      quantized: reserveQuantizedRows(layout, limits.rows, H),
      maxima: byTerm(),
      argmaxRows: byTerm(),
      stride,
      counts: layout.reserve(4 * limits.sequences),
      terms: byTerm(),
      rows: byTerm(),
      logits: byTerm(),
    },
    pairs: {
      rows: layout.reserve(4 * pairCapacity),
      terms: layout.reserve(4 * pairCapacity),
      gradients: layout.reserve(4 * pairCapacity),
    },
    pairCapacity,
  };
}

function planVector(
  layout: ArenaLayout,
  planner: ParameterPlanner,
  { hidden_size: H, winnow }: ModelConfig,
  { sequences }: TrainingLimits,
): VectorPlan {
  const size = winnow.vector!.size;
  const by = (columns: number) => layout.reserve(4 * sequences * columns);
  return {
    parameters: planner.linear(['dense'], size, H, { weight: true, bias: true }),
    activations: { means: by(H), vectors: by(size) },
    dVectors: by(size),
    dMeans: by(H),
  };
}

function planPair(
  layout: ArenaLayout,
  planner: ParameterPlanner,
  { hidden_size: H }: TransformerConfig,
  { sequences }: TrainingLimits,
): PairPlan {
  const by = (columns: number) => layout.reserve(4 * sequences * columns);
  const all = { weight: true, bias: true };
  const pooler = 'bert.pooler.dense';
  return {
    parameters: {
      pooler: planner.has(`${pooler}.weight`) ? planner.linear([pooler], H, H, all) : undefined,
      classifier: planner.linear(['classifier'], 1, H, all),
    },
    activations: { first: by(H), pooled: by(H), logits: by(1) },
    dLogits: by(1),
    dPooled: by(H),
    dFirst: by(H),
  };
}
