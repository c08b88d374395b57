import type { ModelConfig } from '../../model.ts';
import { SPECIAL_IDS } from '../../transformer/tokenizer/wordpiece.ts';
import type { PreparedExample } from '../data/examples.ts';
import type { Engine, SequenceTerms } from '../engine/engine.ts';
import { cosine } from '../losses/cosine.ts';
import { listwise } from '../losses/ranking.ts';
import {
  fitScale,
  type Objective,
  type ObjectiveState,
  runForward,
  type SequenceSource,
  type StepResult,
} from './objective.ts';
import { SparseLoss, type SparseSettings } from './sparse-loss.ts';

/** What a document encoder is trained for. */
export interface RetrievalSettings extends SparseSettings {
  /** Factors of the losses of the two outputs; 0: the output is not trained. */
  readonly sparseWeight: number;
  readonly vectorWeight: number;
}

/** What the model made of a sequence. */
interface Encoded {
  readonly terms: SequenceTerms | undefined;
  readonly vector: Float32Array | undefined;
}

/** Score of every query for every passage of the batch, [Q][D], and how their gradients reach the outputs. */
type Scores = readonly Float64Array[];

/**
 * Ranking by the weights of terms, by vectors, or by both; the passages of all examples of a batch are ranked for each of its queries.
 */
export class RetrievalObjective implements Objective {
  readonly #source: SequenceSource;
  readonly #settings: RetrievalSettings;
  readonly #sparse: SparseLoss;
  #vectorScale = 0;

  constructor(config: ModelConfig, source: SequenceSource, settings: RetrievalSettings) {
    this.#source = source;
    this.#settings = settings;
    this.#sparse = new SparseLoss(config, settings);
  }

  state(): ObjectiveState {
    return { ...this.#sparse.state(), vectorScale: this.#vectorScale };
  }

  restore(state: ObjectiveState): void {
    this.#sparse.restore(state);
    this.#vectorScale = state.vectorScale!;
  }

  async step(engine: Engine, examples: readonly PreparedExample[]): Promise<StepResult> {
    const { sparseWeight, vectorWeight } = this.#settings;
    const passages = [...new Set(examples.flatMap(({ sequences }) => [...sequences]))];
    const columns = new Map(passages.map((sequence, column) => [sequence, column]));
    const queries = vectorWeight > 0 ? examples.map(({ querySequence }) => querySequence!) : [];
    const asked = this.#askedTerms(examples, columns);
    const pass = await runForward<Encoded>(
      engine,
      [...passages, ...queries].map((sequence) => this.#source(sequence)),
      sparseWeight > 0 ? passages.length : 0,
      (inGroup, index) => ({
        terms:
          sparseWeight > 0 && index < passages.length ? termsOf(engine, inGroup, asked[index]!) : undefined,
        vector: vectorWeight > 0 ? engine.vectorOf(inGroup) : undefined,
      }),
    );
    const targets = examples.map(({ sequences, target }) => {
      const row = new Float64Array(passages.length);
      sequences.forEach((sequence, i) => {
        row[columns.get(sequence)!]! += target[i]!;
      });
      return row;
    });
    const firsts = examples.map(({ sequences }) => columns.get(sequences[0]!)!);
    const sparse =
      sparseWeight > 0
        ? this.#sparse.compute(
            pass.results.slice(0, passages.length).map(({ terms }) => terms!),
            { examples, firsts, targets, weight: sparseWeight },
          )
        : undefined;
    const vectors =
      vectorWeight > 0
        ? this.#vectorLoss(
            pass.results.map(({ vector }) => vector!),
            passages.length,
            targets,
          )
        : undefined;
    await pass.backward((first, count) => ({
      ...(sparse && { terms: sparse.gradients.slice(first, first + count) }),
      ...(vectors && { vectors: vectors.gradients.slice(first, first + count) }),
    }));
    return {
      loss: (sparse?.loss ?? 0) + (vectors ? vectorWeight * vectors.loss : 0),
      parts: { ...sparse?.parts, ...(vectors && { vector: vectors.loss }) },
      ...(sparse && { terms: sparse.terms }),
      tokens: pass.tokens,
    };
  }

  /** By column: the terms of the queries whose first passage it is, ascending. */
  #askedTerms(examples: readonly PreparedExample[], columns: ReadonlyMap<number, number>): number[][] {
    const asked: Set<number>[] = Array.from({ length: columns.size }, () => new Set());
    if (this.#settings.revival > 0)
      for (const { sequences, query } of examples)
        for (const term of query.termIds) asked[columns.get(sequences[0]!)!]!.add(term);
    return asked.map((terms) => [...terms].sort((a, b) => a - b));
  }

  /** KL of scale * cosine; passages first, then queries. */
  #vectorLoss(
    vectors: readonly Float32Array[],
    passages: number,
    targets: readonly Float64Array[],
  ): { readonly loss: number; readonly gradients: readonly Float64Array[] } {
    const queries = vectors.slice(passages);
    const pairs = queries.map((query) => vectors.slice(0, passages).map((vector) => cosine(query, vector)));
    const scaled = (scale: number): Scores =>
      pairs.map((row) => Float64Array.from(row, ({ value }) => scale * value));
    if (this.#vectorScale === 0)
      this.#vectorScale = fitScale((scale) => listwise(scaled(scale), targets).loss);
    const { loss, dScores } = listwise(scaled(this.#vectorScale), targets);
    const factor = this.#vectorScale * this.#settings.vectorWeight;
    const gradients = vectors.map(({ length }) => new Float64Array(length));
    pairs.forEach((row, q) => {
      row.forEach(({ da, db }, d) => {
        const g = factor * dScores[q]![d]!;
        const [ofQuery, ofPassage] = [gradients[passages + q]!, gradients[d]!];
        for (let k = 0; k < da.length; k++) {
          ofQuery[k]! += g * da[k]!;
          ofPassage[k]! += g * db[k]!;
        }
      });
    });
    return { loss, gradients };
  }
}

/** The terms that are on, without special ids, then those of `asked` that are off, with their logits below 0. */
function termsOf(engine: Engine, inGroup: number, asked: readonly number[]): SequenceTerms {
  const found = engine.termsOf(inGroup);
  const kept = [...found.terms.keys()].filter((i) => !SPECIAL_IDS.has(found.terms[i]!));
  const on = new Set(found.terms);
  const off = asked
    .filter((term) => !on.has(term))
    .map((term) => ({ term, ...engine.maximumOf(inGroup, term) }));
  return {
    terms: Int32Array.from([...kept.map((i) => found.terms[i]!), ...off.map(({ term }) => term)]),
    rows: Int32Array.from([...kept.map((i) => found.rows[i]!), ...off.map(({ row }) => row)]),
    logits: Float32Array.from([...kept.map((i) => found.logits[i]!), ...off.map(({ logit }) => logit)]),
  };
}
