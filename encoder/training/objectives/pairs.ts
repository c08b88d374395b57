import type { PreparedExample } from '../data/examples.ts';
import type { Engine } from '../engine/engine.ts';
import { listwise } from '../losses/ranking.ts';
import {
  type Objective,
  type ObjectiveState,
  runForward,
  type SequenceSource,
  type StepResult,
} from './objective.ts';

/** Ranking of each query's own passages by a cross-encoder's logits. */
export class PairObjective implements Objective {
  readonly #source: SequenceSource;

  constructor(source: SequenceSource) {
    this.#source = source;
  }

  state(): ObjectiveState {
    return {};
  }

  restore(): void {}

  async step(engine: Engine, examples: readonly PreparedExample[]): Promise<StepResult> {
    const numbers = examples.flatMap(({ sequences }) => [...sequences]);
    const pass = await runForward(
      engine,
      numbers.map((sequence) => this.#source(sequence)),
      0,
      (inGroup) => engine.logitOf(inGroup),
    );
    const share = 1 / examples.length;
    let [at, rank] = [0, 0];
    const gradients: number[] = [];
    for (const { sequences, target } of examples) {
      const logits = Float64Array.from(pass.results.slice(at, at + sequences.length));
      const { loss, dScores } = listwise([logits], [target]);
      rank += share * loss;
      gradients.push(...dScores[0]!.map((gradient) => share * gradient));
      at += sequences.length;
    }
    await pass.backward((first, count) => ({ logits: gradients.slice(first, first + count) }));
    return { loss: rank, parts: { rank }, tokens: pass.tokens };
  }
}
