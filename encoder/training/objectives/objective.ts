import type { PreparedExample } from '../data/examples.ts';
import type { BatchSequence, Engine } from '../engine/engine.ts';

/** What a step of training did. */
export interface StepResult {
  readonly loss: number;
  readonly parts: Readonly<Record<string, number>>;
  /** Terms per passage, where they are computed. */
  readonly terms?: number;
  readonly tokens: number;
}

/** What an objective adjusts while it trains; a checkpoint keeps it. */
export type ObjectiveState = Readonly<Record<string, number>>;

/** A loss over a batch of examples: its forward and backward passes. */
export interface Objective {
  /** Adds the gradient of the batch to the engine's, which was cleared. */
  step(engine: Engine, examples: readonly PreparedExample[]): Promise<StepResult>;
  state(): ObjectiveState;
  restore(state: ObjectiveState): void;
}

/** The sequence of a number. */
export type SequenceSource = (sequence: number) => BatchSequence;

/** Sequences that pass through the model together, in groups that fit. */
export interface Pass<Result> {
  readonly results: readonly Result[];
  readonly tokens: number;
  /**
   * Adds the gradients; a group that is no longer in the arena runs forward again first (gradient caching; Gao et al., arXiv 2101.06983),
   * so that the batch of a contrastive loss is not bounded by memory.
   */
  backward(write: (first: number, count: number) => Parameters<Engine['backward']>[0]): Promise<void>;
}

/**
 * Runs sequences through the model.
 *
 * @param withTerms sequences at the front whose terms are wanted
 * @param read takes the result of sequence `index`, which is number `inGroup` of the group in the arena
 */
export async function runForward<Result>(
  engine: Engine,
  sequences: readonly BatchSequence[],
  withTerms: number,
  read: (inGroup: number, index: number) => Result,
): Promise<Pass<Result>> {
  const groups = groupsOf(sequences, engine.plan.limits);
  const results: Result[] = [];
  for (const { first, count } of groups) {
    const terms = Math.max(0, Math.min(count, withTerms - first));
    await engine.forward(sequences.slice(first, first + count), terms);
    for (let i = 0; i < count; i++) results.push(read(i, first + i));
  }
  return {
    results,
    tokens: sequences.reduce((sum, { ids }) => sum + ids.length, 0),
    async backward(write) {
      // The last group is still there.
      for (const { first, count } of [...groups].reverse()) {
        if (first !== groups.at(-1)!.first) await engine.forward(sequences.slice(first, first + count), 0);
        await engine.backward(write(first, count));
      }
    },
  };
}

/** Consecutive groups within the limits. */
function groupsOf(
  sequences: readonly BatchSequence[],
  limits: { readonly rows: number; readonly sequences: number },
): { readonly first: number; readonly count: number }[] {
  const groups: { first: number; count: number; rows: number }[] = [];
  sequences.forEach(({ ids }, index) => {
    const last = groups.at(-1);
    if (last && last.count < limits.sequences && last.rows + ids.length <= limits.rows) {
      last.count++;
      last.rows += ids.length;
    } else groups.push({ first: index, count: 1, rows: ids.length });
  });
  return groups;
}

/** Factors that a scale is chosen from: .25 to 250. */
const SCALES = Array.from({ length: 41 }, (_, i) => 0.25 * 1000 ** (i / 40));

/** The factor on scores of 0..1 that makes `loss` smallest. */
export const fitScale = (loss: (scale: number) => number): number =>
  SCALES.map((scale) => ({ scale, loss: loss(scale) })).reduce((best, one) =>
    one.loss < best.loss ? one : best,
  ).scale;
