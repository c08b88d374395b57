import type { Train, TrainingExample, TrainingOptions, TrainingScope } from '../../encoder/training/types.ts';

/** How many examples a run can afford, and how many steps. */
export interface Budget {
  readonly examples: number;
  readonly steps: number;
}

/** Passes over the examples that are worth their time; early stopping ends those that are not. */
const EPOCHS: Readonly<Record<TrainingScope, number>> = { head: 8, channels: 4, all: 4 };
/** Examples and steps of the trial. */
const TRIAL = { examples: 32, steps: 4 } as const;
/** Share of the time that the states of the frozen body may take; with less data there is more time to learn from it. */
const STATES_SHARE = 0.5;
/** Below this a run learns nothing. */
const LEAST_STEPS = 20;

/** How the run will train. */
export type BudgetOptions = TrainingOptions & Required<Pick<TrainingOptions, 'scope' | 'batchSize'>>;

/** Validations of a run. */
export const VALIDATIONS = 6;

/**
 * Decides what fits into the time by a short trial on the first examples: the speed of the body and of a step.
 *
 * @param seconds that training may take, validations included
 * @param validationSeconds that one validation takes
 */
export async function planBudget(
  trainer: Train,
  examples: readonly TrainingExample[],
  options: BudgetOptions,
  { seconds, validationSeconds }: { readonly seconds: number; readonly validationSeconds: number },
): Promise<Budget> {
  const trial = examples.slice(0, TRIAL.examples);
  let states = { passages: 0, seconds: 0 };
  const at: number[] = [];
  const { validate: _, checkpointFolder: __, ...rest } = options;
  await trainer(trial, {
    ...rest,
    steps: TRIAL.steps,
    onStep: ({ phase, step, seconds: now }) => {
      if (phase === 'states') states = { passages: step, seconds: now };
      if (phase === 'steps') at.push(now);
    },
  });
  // The first step warms up caches.
  const perStep = at.length > 1 ? (at.at(-1)! - at[0]!) / (at.length - 1) : 0;
  const passagesPer = trial.length === 0 ? 1 : states.passages / trial.length;
  const perExample = states.passages === 0 ? 0 : (states.seconds / states.passages) * passagesPer;
  const free = Math.max(1, seconds - (VALIDATIONS + 1) * validationSeconds);
  const affordable = perExample === 0 ? examples.length : Math.floor((STATES_SHARE * free) / perExample);
  const count = Math.min(examples.length, Math.max(affordable, TRIAL.examples));
  const wanted = Math.ceil((EPOCHS[options.scope] * count) / options.batchSize);
  const left = free - count * perExample;
  const possible = perStep === 0 ? wanted : Math.floor(left / perStep);
  return { examples: count, steps: Math.max(LEAST_STEPS, Math.min(wanted, possible)) };
}
