import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { ModelConfig } from '../model.ts';
import { BatchOrder } from './data/batches.ts';
import { type PreparedExamples, prepareExamples } from './data/examples.ts';
import { StateCache } from './data/states.ts';
import { badOption, type ResolvedOptions, resolveOptions } from './defaults.ts';
import { Engine } from './engine/engine.ts';
import { limitsFor } from './engine/limits.ts';
import { identityOf, lossesOf, type ModelSource, openSource, scopedWeights } from './model-source.ts';
import type { Objective, SequenceSource } from './objectives/objective.ts';
import { PairObjective } from './objectives/pairs.ts';
import { RetrievalObjective } from './objectives/retrieval.ts';
import { addScreen, copyModel, requireReplaceable, writeModel } from './output/model-files.ts';
import { TrainingRun } from './run.ts';
import type { TrainingExample, TrainingOptions, TrainingResult } from './types.ts';

const MAX_DEFAULT_THREADS = 8;
/** Weight of the loss that keeps a query's own terms on, as in the recipe that made the bundled models. */
const REVIVAL = 0.2;

/**
 * Trains a model on examples and writes a complete model folder. How: README.md in this folder.
 *
 * Memory is bounded by `memoryMB` and the texts; states of the frozen body lie in a file of 2 * hidden size bytes per token. The result does not
 * depend on the number of threads. A run that ends at any moment, by a signal or otherwise, goes on from its last checkpoint with the same
 * losses, bit for bit, on the same instruction set.
 *
 * @throws WinnowError WINNOW_BAD_ARGUMENT for bad examples or options; WINNOW_MODEL_NOT_FOUND, WINNOW_MODEL_INVALID, WINNOW_NO_VECTORS for
 *   the model; WINNOW_ALREADY_EXISTS for a target that holds something else; WINNOW_TRAINING_MISMATCH for a checkpoint of another run; WINNOW_STORAGE; the signal's reason when it is aborted
 */
export async function train(
  examples: readonly TrainingExample[],
  options: TrainingOptions,
): Promise<TrainingResult> {
  const source = openSource(options);
  if (resolve(options.target) === resolve(source.folder))
    throw badOption('target', 'must not be the folder of the model');
  requireReplaceable(options.target);
  const settings = resolveOptions(options, examples.length, source.config.max_position_embeddings);
  const folder = options.checkpointFolder ?? mkdtempSync(join(tmpdir(), 'winnow-train-'));
  mkdirSync(folder, { recursive: true });
  try {
    return await trainIn(folder, source, examples, options, settings);
  } finally {
    if (options.checkpointFolder === undefined) rmSync(folder, { recursive: true, force: true });
  }
}

async function trainIn(
  folder: string,
  source: ModelSource,
  examples: readonly TrainingExample[],
  options: TrainingOptions,
  settings: ResolvedOptions,
): Promise<TrainingResult> {
  const started = performance.now();
  const losses = lossesOf(settings, source.config);
  const { outputs } = losses;
  const data = prepareExamples(examples, {
    tokenizer: source.tokenizer,
    maxTokens: settings.maxTokens,
    form: settings.stage === 'rerank' ? 'pairs' : 'passages',
    withQueries: outputs.vector,
    queryWeights: options.queryWeights ?? source.queryWeights,
  });
  const { weights, scope } = scopedWeights(source.readWeights(), settings, options.layers);
  const threads = options.threads ?? Math.min(availableParallelism(), MAX_DEFAULT_THREADS);
  const order = new BatchOrder(data.examples.length, settings.batchSize, settings.seed);
  const cache = scope.embeddings
    ? undefined
    : await StateCache.open(weights, source.hash, data.sequences, {
        layers: source.config.num_hidden_layers - scope.layers,
        firstRows: outputs.pair && scope.layers === 0,
        folder,
        threads,
        signal: options.signal,
        onProgress: reportStates(options, data.sequences.length, started),
      });
  const limits = limitsFor(weights, { settings, scope, outputs, data, order, cache });
  const engine = await Engine.create(weights, { scope, outputs, limits, threads });
  try {
    const run = new TrainingRun(engine, objectiveOf(data, cache, source, settings, losses), {
      folder,
      source: source.folder,
      original: weights.tensors,
      identity: identityOf(source, data.hash, settings, scope.layers),
      settings,
      options,
      started,
      batch: (step) => order.batch(step).map((example) => data.examples[example]!),
    });
    const result = await run.finish();
    await writeResult(run, source, data, options.target);
    return { ...result, seconds: (performance.now() - started) / 1000 };
  } finally {
    await engine.close();
    cache?.close();
    // Terminated threads are gone after the next turn.
    await setImmediate();
  }
}

const reportStates =
  ({ onStep }: TrainingOptions, steps: number, started: number) =>
  (step: number) =>
    onStep?.({ phase: 'states', step, steps, tokens: 0, seconds: (performance.now() - started) / 1000 });

function objectiveOf(
  data: PreparedExamples,
  cache: StateCache | undefined,
  { config }: ModelSource,
  { stage, flops, terms, l0 }: ResolvedOptions,
  { sparseWeight, vectorWeight }: ReturnType<typeof lossesOf>,
): Objective {
  const sourceOf: SequenceSource = (index) => {
    const sequence = data.sequences[index]!;
    if (!cache) return sequence;
    // A cross-encoder's head reads the first row alone: the others are not kept.
    const ids = cache.rows(index) === sequence.ids.length ? sequence.ids : [sequence.ids[0]!];
    return { ids, loadStates: (into) => cache.load(index, into) };
  };
  if (stage === 'rerank') return new PairObjective(sourceOf);
  return new RetrievalObjective(config as ModelConfig, sourceOf, {
    flops,
    terms,
    l0,
    revival: REVIVAL,
    sparseWeight,
    vectorWeight,
  });
}

async function writeResult(
  run: TrainingRun,
  source: ModelSource,
  data: PreparedExamples,
  target: string,
): Promise<void> {
  const best = run.bestFolder;
  if (best === source.folder) {
    copyModel(source.folder, target);
    return;
  }
  if (best === undefined) writeModel(source.folder, target, run.tensors());
  else copyModel(best, target);
  if (source.hasScreen)
    await addScreen(
      target,
      data.sequences.filter(({ typeIds }) => !typeIds),
    );
}
