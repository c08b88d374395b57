import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { WinnowError } from '../../errors.ts';
import type { Tensor } from '../transformer/weights-file.ts';
import type { PreparedExample } from './data/examples.ts';
import type { ResolvedOptions } from './defaults.ts';
import { learningRateAt, updateFactors } from './engine/adamw.ts';
import type { Engine } from './engine/engine.ts';
import type { Objective, StepResult } from './objectives/objective.ts';
import { type BestScore, readCheckpoint, writeCheckpoint } from './output/checkpoint.ts';
import { copyModel, writeModel } from './output/model-files.ts';
import type { TrainingOptions, TrainingProgress, TrainingResult } from './types.ts';

/** What a run needs beside its engine and objective. */
export interface RunSettings {
  /** Of the checkpoint, the candidate and the best model. */
  readonly folder: string;
  /** Folder of the model that training starts from. */
  readonly source: string;
  /** Its tensors, in the order in which they are trained. */
  readonly original: ReadonlyMap<string, Tensor>;
  readonly identity: string;
  readonly settings: ResolvedOptions;
  readonly options: TrainingOptions;
  /** When the process began with it, as performance.now() counts. */
  readonly started: number;
  readonly batch: (step: number) => readonly PreparedExample[];
}

const NOTHING_FOUND: BestScore = {
  firstScore: undefined,
  score: undefined,
  step: 0,
  waited: 0,
  validated: -1,
};

/** The steps of a run, with checkpoints and validations. */
export class TrainingRun {
  readonly #engine: Engine;
  readonly #objective: Objective;
  readonly #run: RunSettings;
  #step = 0;
  #losses: number[] = [];
  #best = NOTHING_FOUND;
  #tokens = 0;

  constructor(engine: Engine, objective: Objective, run: RunSettings) {
    this.#engine = engine;
    this.#objective = objective;
    this.#run = run;
  }

  /** The tensors of the model as it is now: the average of start and trained weights that the settings ask for. */
  tensors(): Map<string, Tensor> {
    return this.#engine.tensors(this.#run.original, this.#run.settings.trainedShare);
  }

  /** Where the best validated model lies: the folder of the source if nothing was better; undefined without validation. */
  get bestFolder(): string | undefined {
    if (!this.#run.options.validate) return undefined;
    return this.#best.step === 0 ? this.#run.source : join(this.#run.folder, 'best');
  }

  /** Runs the steps that are left. */
  async finish(): Promise<TrainingResult> {
    const { settings, options, folder, identity } = this.#run;
    const saved = readCheckpoint(folder, identity);
    if (saved) {
      this.#step = saved.step;
      this.#losses = [...saved.losses];
      this.#best = saved.best;
      this.#objective.restore(saved.objective);
      await this.#engine.restore(saved.trained);
    }
    await this.#validate();
    while (this.#step < settings.steps && !this.#hasWaited()) {
      if (options.signal?.aborted) {
        this.#save();
        throw options.signal.reason;
      }
      await this.#advance();
      await this.#validate();
      if (this.#step % settings.checkpointEvery === 0) this.#save();
      await setImmediate();
    }
    this.#save();
    return {
      steps: this.#step,
      losses: this.#losses,
      bestScore: this.#best.score,
      bestStep: options.validate ? this.#best.step : this.#step,
      firstScore: this.#best.firstScore,
      seconds: this.#seconds(),
      tokens: this.#tokens,
      stoppedEarly: this.#step < settings.steps,
      ...(saved && { resumedFrom: saved.step }),
    };
  }

  async #advance(): Promise<void> {
    const { settings, batch } = this.#run;
    await this.#engine.clearGradients();
    const result = await this.#objective.step(this.#engine, batch(this.#step));
    const rate = learningRateAt(this.#step, settings.steps, settings.learningRate);
    const norm = await this.#engine.gradientNorm();
    this.#requireFinite(result.loss + norm);
    await this.#engine.update(updateFactors(this.#step, rate, norm));
    this.#step++;
    this.#losses.push(result.loss);
    this.#tokens += result.tokens;
    this.#report({ phase: 'steps', learningRate: rate }, result);
  }

  #requireFinite(lossAndNorm: number): void {
    if (Number.isFinite(lossAndNorm)) return;
    throw new WinnowError(
      'WINNOW_BAD_ARGUMENT',
      `the loss of step ${this.#step + 1} or its gradient is no number`,
      {
        place: 'learningRate',
        hint: 'train with a smaller learning rate; the last checkpoint is still good',
      },
    );
  }

  /** Judges the model where it is time to: before the first step, after each period and after the last step. */
  async #validate(): Promise<void> {
    const { options, settings, folder, source } = this.#run;
    const { validate } = options;
    const isTime = this.#step % settings.validateEvery === 0 || this.#step === settings.steps;
    if (!validate || !isTime || this.#best.validated >= this.#step) return;
    if (this.#step === 0) {
      const score = await validate(source);
      this.#best = { firstScore: score, score, step: 0, waited: 0, validated: 0 };
    } else {
      const candidate = join(folder, 'candidate');
      writeModel(source, candidate, this.tensors());
      const score = await validate(candidate);
      const isBetter = score > this.#best.score!;
      if (isBetter) copyModel(candidate, join(folder, 'best'));
      this.#best = {
        ...this.#best,
        ...(isBetter ? { score, step: this.#step, waited: 0 } : { waited: this.#best.waited + 1 }),
        validated: this.#step,
      };
      this.#report({ phase: 'validation', score });
    }
    if (this.#step === 0) this.#report({ phase: 'validation', score: this.#best.score! });
    this.#save();
  }

  #hasWaited(): boolean {
    return this.#best.waited >= this.#run.settings.patience;
  }

  #save(): void {
    writeCheckpoint(this.#run.folder, {
      identity: this.#run.identity,
      step: this.#step,
      losses: this.#losses,
      objective: this.#objective.state(),
      trained: this.#engine.state(),
      best: this.#best,
    });
  }

  #report(progress: Pick<TrainingProgress, 'phase' | 'learningRate' | 'score'>, result?: StepResult): void {
    this.#run.options.onStep?.({
      ...progress,
      step: this.#step,
      steps: this.#run.settings.steps,
      ...(result && { loss: result.loss, parts: result.parts }),
      ...(result?.terms !== undefined && { terms: result.terms }),
      tokens: this.#tokens,
      seconds: this.#seconds(),
    });
  }

  #seconds(): number {
    return (performance.now() - this.#run.started) / 1000;
  }
}
