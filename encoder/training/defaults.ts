import { WinnowError } from '../../errors.ts';
import type { TransformerConfig } from '../transformer/config.ts';
import type { BodyScope } from './engine/body-parameters.ts';
import type { TrainingOptions, TrainingScope, TrainingStage } from './types.ts';

/** Peaks of the learning rate, found on SciFact's training split (docs/fine-tuning.md). */
const LEARNING_RATES: { readonly [stage in TrainingStage]: { readonly [scope in TrainingScope]: number } } = {
  encoder: { head: 5e-4, channels: 1e-4, all: 5e-5 },
  vector: { head: 5e-4, channels: 1e-4, all: 5e-5 },
  rerank: { head: 5e-4, channels: 5e-5, all: 2e-5 },
};

/** Share of the feed-forward channels and attention heads that scope `channels` trains. */
const SLICE = 1 / 3;
const CHANNEL_LAYERS = 2;

/** Options with their defaults. */
export interface ResolvedOptions {
  readonly stage: TrainingStage;
  readonly scope: TrainingScope;
  readonly learningRate: number;
  readonly batchSize: number;
  readonly maxTokens: number;
  readonly seed: number;
  readonly memoryMB: number;
  readonly steps: number;
  readonly checkpointEvery: number;
  readonly validateEvery: number;
  readonly patience: number;
  readonly flops: number | undefined;
  readonly terms: number | undefined;
  readonly l0: number | undefined;
  readonly trainedShare: number;
}

const DEFAULTS = { batchSize: 16, maxTokens: 256, seed: 1, memoryMB: 2048, checkpointEvery: 25, patience: 3 };
const DEFAULT_EPOCHS = 3;
/** Validations of a run. */
const VALIDATIONS = 10;

/** @throws WinnowError WINNOW_BAD_ARGUMENT for an option out of range */
export function resolveOptions(options: TrainingOptions, examples: number, window: number): ResolvedOptions {
  const { stage = 'encoder', scope = 'head' } = options;
  const given = { ...DEFAULTS, ...defined(options) };
  const { batchSize, seed, memoryMB, checkpointEvery, patience } = given;
  const { epochs = DEFAULT_EPOCHS, trainedShare = 1 } = options;
  const steps = options.steps ?? Math.ceil((epochs * examples) / batchSize);
  const learningRate = options.learningRate ?? LEARNING_RATES[stage][scope];
  const whole = { steps, batchSize, memoryMB, checkpointEvery, patience };
  for (const [name, value] of Object.entries(whole))
    if (!(Number.isInteger(value) && value >= 1))
      throw badOption(name, `must be a whole number from 1, not ${value}`);
  if (!(Number.isInteger(given.maxTokens) && given.maxTokens >= 8))
    throw badOption('maxTokens', `must be a whole number from 8, not ${given.maxTokens}`);
  if (!(learningRate > 0 && learningRate < 1))
    throw badOption('learningRate', `must be in 0..1, not ${learningRate}`);
  if (!(trainedShare > 0 && trainedShare <= 1))
    throw badOption('trainedShare', `must be above 0 and at most 1, not ${trainedShare}`);
  for (const [name, value] of Object.entries({ flops: options.flops, terms: options.terms, l0: options.l0 }))
    if (value !== undefined && !(value >= 0 && value < Infinity))
      throw badOption(name, `must be a number from 0, not ${value}`);
  return {
    stage,
    scope,
    learningRate,
    batchSize,
    maxTokens: Math.min(given.maxTokens, window),
    seed,
    memoryMB,
    steps,
    checkpointEvery,
    validateEvery: options.validateEvery ?? Math.max(1, Math.ceil(steps / VALIDATIONS)),
    patience,
    flops: options.flops,
    terms: options.terms,
    l0: options.l0,
    trainedShare,
  };
}

const defined = (options: TrainingOptions): Partial<typeof DEFAULTS> =>
  Object.fromEntries(
    Object.entries(options).filter(([name, value]) => name in DEFAULTS && value !== undefined),
  );

export const badOption = (place: string, message: string): WinnowError =>
  new WinnowError('WINNOW_BAD_ARGUMENT', `${place} ${message}`, { place });

/** What of the body is trained. @throws WinnowError WINNOW_BAD_ARGUMENT for more layers than there are */
export function bodyScope(
  scope: TrainingScope,
  layers: number | undefined,
  { num_hidden_layers: all, num_attention_heads: heads, intermediate_size: channels }: TransformerConfig,
): BodyScope {
  if (scope === 'head') return { layers: 0, embeddings: false };
  const count = layers ?? (scope === 'all' ? all : Math.min(CHANNEL_LAYERS, all));
  if (!(Number.isInteger(count) && count >= 1 && count <= all))
    throw badOption('layers', `must be 1..${all}, not ${layers}`);
  if (scope === 'all') return { layers: count, embeddings: count === all };
  const part = (total: number) => Math.max(1, Math.round(SLICE * total));
  return { layers: count, embeddings: false, slice: { channels: part(channels), heads: part(heads) } };
}
