import { existsSync, rmSync } from 'node:fs';
import { defined } from '../../defined.ts';
import { DEFAULT_MODEL } from '../../encoder/model.ts';
import { DEFAULT_RERANKER } from '../../encoder/rerank/model.ts';
import { createModelFolder } from '../../encoder/training/new-model.ts';
import { train } from '../../encoder/training/train.ts';
import type {
  Train,
  TrainingExample,
  TrainingProgress,
  TrainingResult,
} from '../../encoder/training/types.ts';
import type { EmbeddedBackend } from '../../query/embedded/embedded-backend.ts';
import { searchableText } from '../../query/embedded/source-encoder.ts';
import { shuffled } from '../../random.ts';
import { type BudgetOptions, planBudget, VALIDATIONS } from './budget.ts';
import { trainingExamples } from './examples.ts';
import { type Collection, documentsOf, measure } from './measure.ts';
import { readPassages, samplePassages } from './passages.ts';
import type { RunState } from './run-state.ts';
import type { LabelledQuery } from './supervision.ts';
import type { TrainModelOptions } from './types.ts';

interface Lesson {
  readonly index: EmbeddedBackend;
  readonly queries: readonly LabelledQuery[];
  readonly validation: Collection;
  readonly secondsLeft: number;
  /** What encoding and measuring takes per document. */
  readonly secondsPerDocument: number;
  readonly progress: (fraction: number, note: string) => void;
}

/** A trained model and how it went. */
export interface Trained
  extends Pick<
    TrainingResult,
    'steps' | 'bestStep' | 'bestScore' | 'firstScore' | 'losses' | 'stoppedEarly'
  > {
  readonly folder: string;
  readonly examples: number;
}

const BATCH = 16;
/** Texts that the vocabulary of a new model is counted over. */
const VOCABULARY_TEXTS = 20_000;
/** Passages of the user's documents are longer than those of the trainer's default, and their ends count. */
const MAX_TOKENS = 256;

/** Trains on labelled queries. A model that an earlier process has finished is taken as it is. */
export async function trainOnExamples(
  state: RunState,
  options: TrainModelOptions,
  lesson: Lesson,
): Promise<Trained> {
  const { index, queries, validation, progress } = lesson;
  const { stage, scope, seed, fromScratch, model, trainedShare } = state.input;
  const trainer: Train = options.trainer ?? train;
  const ids = new Set(queries.flatMap(({ candidates }) => candidates.map(({ id }) => id)));
  // A short run uses the first examples, so they must be any.
  const all = shuffled(trainingExamples(queries, readPassages(index, ids), seed), seed);
  const modelFolder = fromScratch
    ? await newModel(state, index)
    : (model ?? (stage === 'rerank' ? DEFAULT_RERANKER : DEFAULT_MODEL));
  const folder = state.candidate;
  const common = {
    modelFolder,
    target: folder,
    stage,
    scope,
    trainedShare,
    batchSize: BATCH,
    maxTokens: MAX_TOKENS,
    seed,
    // The tokens of a new model are its own, and so are their weights.
    ...(stage === 'rerank' || fromScratch
      ? {}
      : { queryWeights: (query: string) => index.raw.queryWeights(query) }),
    ...defined({ threads: options.threads, memoryMB: options.memoryMB, signal: options.signal }),
  };
  progress(0, 'a short trial says how much fits into the time');
  const { steps, examples } = await budgetOf(state, trainer, all, common, lesson);
  if (steps * BATCH < all.length)
    options.onNotice?.(
      `the time is enough for ${steps} steps, which is ${Math.round((100 * steps * BATCH) / all.length)} % of one pass over the ${all.length} examples: with more --minutes the model can learn more`,
    );
  const result = await trainer(all.slice(0, examples), {
    ...common,
    steps,
    checkpointFolder: state.path('checkpoint'),
    validateEvery: Math.max(1, Math.ceil(steps / VALIDATIONS)),
    onStep: (step) => {
      options.onStep?.(step);
      progress(fractionOf(step), describe(step));
    },
    validate: async (candidate) => {
      const models = stage === 'rerank' ? { reranker: candidate, encoded: index } : { model: candidate };
      const threads = options.threads;
      const folder = state.path('validated');
      const measured = await measure(validation, [stage], { ...models, threads }, folder, options.signal);
      return measured[stage].mean;
    },
  });
  const { bestStep, bestScore, firstScore, losses, stoppedEarly } = result;
  return { folder, examples, steps: result.steps, bestStep, bestScore, firstScore, losses, stoppedEarly };
}

async function budgetOf(
  state: RunState,
  trainer: Train,
  examples: readonly TrainingExample[],
  common: BudgetOptions,
  { validation, secondsLeft, secondsPerDocument }: Lesson,
): Promise<{ steps: number; examples: number }> {
  const { steps, examples: known } = state.progress;
  if (steps !== undefined && known !== undefined) return { steps, examples: known };
  const budget = await planBudget(
    trainer,
    examples,
    { ...common, target: state.path('trial') },
    { seconds: secondsLeft, validationSeconds: documentsOf(validation) * secondsPerDocument },
  );
  rmSync(state.path('trial'), { recursive: true, force: true });
  state.note(budget);
  return budget;
}

/** A small model of random weights whose vocabulary is that of the documents. */
async function newModel(state: RunState, index: EmbeddedBackend): Promise<string> {
  const target = state.path('start');
  if (existsSync(target)) return target;
  const passages = await samplePassages(index, VOCABULARY_TEXTS, state.input.seed);
  createModelFolder({ texts: passages.map(searchableText), target, seed: state.input.seed });
  return target;
}

const fractionOf = ({ phase, step, steps }: TrainingProgress): number => {
  const done = steps === 0 ? 0 : step / steps;
  return phase === 'states' ? 0.2 * done : 0.2 + 0.8 * done;
};

function describe({ phase, step, steps, loss, score, tokens, seconds }: TrainingProgress): string {
  if (phase === 'states') return `${step} of ${steps} passages read`;
  if (phase === 'validation') return `nDCG@10 ${score?.toFixed(4) ?? '-'} after step ${step}`;
  const rate = seconds > 0 ? `, ${Math.round(tokens / seconds)} tokens/s` : '';
  return `step ${step} of ${steps}${loss === undefined ? '' : `, loss ${loss.toFixed(3)}`}${rate}`;
}
