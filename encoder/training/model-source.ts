import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { WinnowError } from '../../errors.ts';
import { SCREEN_FILE } from '../head-screen.ts';
import { type Model, type ModelConfig, openModel } from '../model.ts';
import { type CrossEncoderModel, openCrossEncoderModel, withoutEarlyExit } from '../rerank/model.ts';
import type { TransformerConfig } from '../transformer/config.ts';
import type { WordPieceTokenizer } from '../transformer/tokenizer/wordpiece.ts';
import type { ModelWeights, Tensor } from '../transformer/weights-file.ts';
import type { SparseVector } from '../types.ts';
import { badOption, bodyScope, type ResolvedOptions } from './defaults.ts';
import type { BodyScope } from './engine/body-parameters.ts';
import type { Outputs } from './engine/plan.ts';
import { orderOf, reorder } from './engine/slices.ts';
import type { TrainingOptions } from './types.ts';

/** The model that a run starts from. */
export interface ModelSource {
  readonly folder: string;
  readonly hash: string;
  readonly tokenizer: WordPieceTokenizer;
  readonly config: TransformerConfig;
  /** Published query weights; none for a cross-encoder. */
  readonly queryWeights: (query: string) => SparseVector;
  readonly hasScreen: boolean;
  readWeights(): ModelWeights;
}

const NO_WEIGHTS: SparseVector = { termIds: new Uint16Array(0), weights: new Float32Array(0) };

/** @throws WinnowError WINNOW_MODEL_NOT_FOUND, WINNOW_MODEL_INVALID; WINNOW_NO_VECTORS, WINNOW_UNSUPPORTED for stage `vector` */
export function openSource({ modelFolder, stage }: TrainingOptions): ModelSource {
  if (stage === 'rerank') {
    const model = withoutEarlyExit(openCrossEncoderModel(modelFolder));
    return {
      ...shared(model),
      queryWeights: () => NO_WEIGHTS,
      hasScreen: false,
      readWeights: () => model.readWeights(),
    };
  }
  const model = openModel(modelFolder);
  if (stage === 'vector') requireVector(model);
  return {
    ...shared(model),
    queryWeights: (query) => model.query.encode(query),
    hasScreen: existsSync(join(model.folder, SCREEN_FILE)),
    readWeights: () => withDecoderBias(model.readWeights({ screen: false })),
  };
}

const shared = ({ folder, hash, tokenizer, config }: Model | CrossEncoderModel) => ({
  folder,
  hash,
  tokenizer,
  config: config as TransformerConfig,
});

function requireVector({ folder, config }: Model): void {
  const { vector } = config.winnow;
  if (!vector)
    throw new WinnowError('WINNOW_NO_VECTORS', 'the model has no vectors to train', {
      place: folder,
      hint: 'train the stage "encoder", or name a model with winnow.vector in its config.json',
    });
  if (vector.query === 'tokens')
    throw new WinnowError(
      'WINNOW_UNSUPPORTED',
      'vectors of queries that are sums of token vectors cannot be trained here',
      {
        place: folder,
        hint: 'train the stage "encoder"',
      },
    );
}

/** A model may leave out the bias of its decoder; training needs one to change. */
function withDecoderBias({ config, tensors }: ModelWeights): ModelWeights {
  const name = 'cls.predictions.bias';
  if (tensors.has(name)) return { config, tensors };
  const bias: Tensor = {
    dtype: 'f32',
    shape: [config.vocab_size],
    data: new Float32Array(config.vocab_size),
  };
  return { config, tensors: new Map([...tensors, [name, bias]]) };
}

/** Which losses a stage has: those of all outputs that the trained weights change. */
export interface StageLosses {
  readonly outputs: Outputs;
  readonly sparseWeight: number;
  readonly vectorWeight: number;
}

/** Share of the other output's loss where the body is trained: it must not be lost (as in gpu/config, `cosine_weight`). */
const OTHER_OUTPUT = 0.5;

export function lossesOf({ stage, scope }: ResolvedOptions, config: TransformerConfig): StageLosses {
  if (stage === 'rerank')
    return { outputs: { sparse: false, vector: false, pair: true }, sparseWeight: 0, vectorWeight: 0 };
  const changesBody = scope !== 'head';
  const hasVector = (config as ModelConfig).winnow.vector?.query === 'model';
  const sparseWeight = stage === 'encoder' ? 1 : changesBody ? OTHER_OUTPUT : 0;
  const vectorWeight = stage === 'vector' ? 1 : changesBody && hasVector ? OTHER_OUTPUT : 0;
  return {
    outputs: { sparse: sparseWeight > 0, vector: vectorWeight > 0, pair: false },
    sparseWeight,
    vectorWeight,
  };
}

/** The weights in the order that the scope needs: trained channels and heads are the first ones of their layer. */
export function scopedWeights(
  { config, tensors }: ModelWeights,
  options: ResolvedOptions,
  layers: number | undefined,
): { readonly weights: ModelWeights; readonly scope: BodyScope } {
  const scope = bodyScope(options.scope, layers, config);
  if (options.stage === 'rerank' && tensors.get('classifier.weight') === undefined)
    throw badOption('modelFolder', 'is no cross-encoder');
  if (!scope.slice) return { weights: { config, tensors }, scope };
  let changed = tensors;
  for (let layer = config.num_hidden_layers - scope.layers; layer < config.num_hidden_layers; layer++)
    changed = reorder(changed, config, layer, orderOf(changed, config, layer));
  return { weights: { config, tensors: changed }, scope };
}

/** Names a run: what decides its result. */
export const identityOf = (
  source: ModelSource,
  examples: string,
  options: ResolvedOptions,
  layers: number,
): string =>
  createHash('sha256')
    .update(JSON.stringify([1, source.hash, examples, options, layers]))
    .digest('hex')
    .slice(0, 32);
