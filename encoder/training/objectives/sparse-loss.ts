import type { ModelConfig } from '../../model.ts';
import type { PreparedExample } from '../data/examples.ts';
import type { SequenceTermGradients, SequenceTerms } from '../engine/engine.ts';
import { type ActivatedTerm, activate } from '../losses/activation.ts';
import { flops } from '../losses/flops.ts';
import { listwise } from '../losses/ranking.ts';
import { revival } from '../losses/revival.ts';
import { fitScale, type ObjectiveState } from './objective.ts';

export interface SparseSettings {
  /** Weight of FLOPS; undefined: controlled. */
  readonly flops: number | undefined;
  /** Terms per passage that the control aims at; undefined: those of the first batch. */
  readonly terms: number | undefined;
  readonly l0: number | undefined;
  /** Weight of {@link revival}. */
  readonly revival: number;
}

/** Weight of FLOPS at the start where it is controlled, and how fast it follows: penalty *= (terms / wanted)^GAIN per step. */
const FIRST_PENALTY = 0.02;
const GAIN = 0.1;

/**
 * The objective of the sparse output: KL of the scores (losses/ranking.ts) + FLOPS + revival of the query's own terms.
 *
 * A score is `scale * sum(query weight * term weight) / sum(query weight)`: with the raw sum as a logit a query of 20 words would be ten times
 * sharper than one of 2. The scale is chosen on the first batch.
 */
export class SparseLoss {
  readonly #config: ModelConfig;
  readonly #settings: SparseSettings;
  #scale = 0;
  #penalty: number;
  #wanted: number;

  constructor(config: ModelConfig, settings: SparseSettings) {
    this.#config = config;
    this.#settings = settings;
    this.#penalty = settings.flops ?? FIRST_PENALTY;
    this.#wanted = settings.terms ?? 0;
  }

  state(): ObjectiveState {
    return { scale: this.#scale, penalty: this.#penalty, wanted: this.#wanted };
  }

  restore(state: ObjectiveState): void {
    this.#scale = state.scale!;
    this.#penalty = state.penalty!;
    this.#wanted = state.wanted!;
  }

  /**
   * @param passages terms of each passage of the batch
   * @param batch.firsts number of each example's first passage
   * @param batch.targets [Q][D]
   * @param batch.weight factor of the whole loss
   * @returns the gradient by the logits of each passage
   */
  compute(
    passages: readonly SequenceTerms[],
    batch: {
      readonly examples: readonly PreparedExample[];
      readonly firsts: readonly number[];
      readonly targets: readonly Float64Array[];
      readonly weight: number;
    },
  ): {
    readonly loss: number;
    readonly parts: Readonly<Record<string, number>>;
    readonly terms: number;
    readonly gradients: readonly SequenceTermGradients[];
  } {
    const activated = passages.map(({ logits }) =>
      Array.from(logits, (logit) => activate(logit, this.#config.winnow)),
    );
    const terms = activated.reduce((sum, own) => sum + count(own), 0) / passages.length;
    const gradients = passages.map(({ logits }) => new Float64Array(logits.length));
    const rank = this.#rank(passages, activated, batch, gradients);
    const size = this.#size(passages, activated, gradients);
    const revived = this.#revive(passages, batch, gradients);
    const penalty = this.#penalty;
    this.#control(terms);
    for (const gradient of gradients) for (let i = 0; i < gradient.length; i++) gradient[i]! *= batch.weight;
    return {
      loss: batch.weight * (rank + penalty * size + this.#settings.revival * revived),
      parts: { rank, flops: size, revival: revived, penalty },
      terms,
      gradients: passages.map((own, d) => ({ terms: own.terms, rows: own.rows, gradients: gradients[d]! })),
    };
  }

  #rank(
    passages: readonly SequenceTerms[],
    activated: readonly (readonly ActivatedTerm[])[],
    {
      examples,
      targets,
    }: { readonly examples: readonly PreparedExample[]; readonly targets: readonly Float64Array[] },
    gradients: readonly Float64Array[],
  ): number {
    const queries = examples.map(({ query, mass }) => denseQuery(query, mass, this.#config.vocab_size));
    const scores = queries.map((query) =>
      Float64Array.from(passages, ({ terms }, d) =>
        terms.reduce((sum, term, i) => sum + query[term]! * activated[d]![i]!.weight, 0),
      ),
    );
    const scaled = (scale: number) => scores.map((row) => row.map((score) => scale * score));
    if (this.#scale === 0) this.#scale = fitScale((scale) => listwise(scaled(scale), targets).loss);
    const { loss, dScores } = listwise(scaled(this.#scale), targets);
    queries.forEach((query, q) => {
      passages.forEach(({ terms }, d) => {
        const factor = this.#scale * dScores[q]![d]!;
        for (let i = 0; i < terms.length; i++)
          gradients[d]![i]! += factor * query[terms[i]!]! * activated[d]![i]!.weightSlope;
      });
    });
    return loss;
  }

  #size(
    passages: readonly SequenceTerms[],
    activated: readonly (readonly ActivatedTerm[])[],
    gradients: readonly Float64Array[],
  ): number {
    const found = flops(
      passages.map(({ terms }, d) => ({
        terms,
        activations: activated[d]!.map(({ activation }) => activation),
      })),
      this.#config.vocab_size,
      this.#settings.l0,
    );
    found.gradients.forEach((own, d) => {
      for (let i = 0; i < own.length; i++)
        gradients[d]![i]! += this.#penalty * own[i]! * activated[d]![i]!.activationSlope;
    });
    return found.penalty;
  }

  #revive(
    passages: readonly SequenceTerms[],
    {
      examples,
      firsts,
    }: { readonly examples: readonly PreparedExample[]; readonly firsts: readonly number[] },
    gradients: readonly Float64Array[],
  ): number {
    const { revival: weight } = this.#settings;
    if (weight === 0) return 0;
    let total = 0;
    examples.forEach(({ query }, q) => {
      const d = firsts[q]!;
      const { terms, logits } = passages[d]!;
      const places = new Map([...terms].map((term, i) => [term, i]));
      const own = [...query.termIds].map((term, i) => ({ at: places.get(term), weight: query.weights[i]! }));
      const known = own.filter((one): one is { at: number; weight: number } => one.at !== undefined);
      const found = revival(
        known.map(({ at }) => logits[at]!),
        known.map(({ weight: importance }) => importance),
      );
      total += found.loss / examples.length;
      known.forEach(({ at }, i) => {
        gradients[d]![at]! += (weight * found.gradients[i]!) / examples.length;
      });
    });
    return total;
  }

  /** The wanted size is known, the penalty that leads to it is not. */
  #control(terms: number): void {
    if (this.#settings.flops !== undefined) return;
    if (this.#wanted === 0) this.#wanted = terms;
    // A model that has no terms yet gets them by the other losses.
    if (this.#wanted === 0) return;
    this.#penalty *= Math.min(2, Math.max(0.5, terms / this.#wanted)) ** GAIN;
  }
}

const count = (activated: readonly ActivatedTerm[]): number =>
  activated.reduce((sum, { activation }) => sum + (activation > 0 ? 1 : 0), 0);

/** Weights of a query by term, divided by their sum. */
function denseQuery(
  { termIds, weights }: PreparedExample['query'],
  mass: number,
  vocabulary: number,
): Float64Array {
  const dense = new Float64Array(vocabulary);
  for (let i = 0; i < termIds.length; i++) dense[termIds[i]!] = weights[i]! / (mass || 1);
  return dense;
}
