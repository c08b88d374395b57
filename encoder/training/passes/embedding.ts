import type { NormParameters, Parameter } from '../engine/parameters.ts';
import { type NormActivations, normBackward, normForward, normGradients } from './norm.ts';
import { type Batch, eachChunk, eachTask, type GradientTask, type Thread } from './pass.ts';

/** Tables [vocabulary][H], [positions][H], [types][H], whose rows are added and normalised. */
export interface EmbeddingParameters {
  readonly words: Parameter;
  readonly positions: Parameter;
  readonly types: Parameter;
  readonly norm: NormParameters;
}

/** i32[T] each: the rows of the tables. */
export interface TokenRows {
  readonly ids: number;
  readonly positions: number;
  readonly types: number;
}

/** What the forward step keeps. */
export interface EmbeddingActivations {
  readonly norm: NormActivations;
  /** [T][H] */
  readonly out: number;
}

/** The tables with the ids that pick their rows. */
const lookups = (
  { words, positions, types }: EmbeddingParameters,
  tokens: TokenRows,
): readonly (readonly [Parameter, number])[] => [
  [words, tokens.ids],
  [positions, tokens.positions],
  [types, tokens.types],
];

/** out[t] = LayerNorm(words[id] + positions[position] + types[type]). @param spare [T][H], overwritten */
export function embeddingForward(
  thread: Thread,
  parameters: EmbeddingParameters,
  kept: EmbeddingActivations,
  tokens: TokenRows,
  batch: Batch,
  { spare, epsilon }: { readonly spare: number; readonly epsilon: number },
): void {
  const { arena } = thread.kernels;
  const H = parameters.words.columns;
  eachChunk(thread, batch.rows, (first, rows) => {
    const sum = arena.floats(spare + 4 * first * H, rows * H).fill(0);
    for (const [table, picks] of lookups(parameters, tokens)) {
      const values = arena.floats(table.offset, table.rows * H);
      const ids = arena.ints(picks + 4 * first, rows);
      for (let t = 0; t < rows; t++) {
        const from = ids[t]! * H;
        for (let k = 0; k < H; k++) sum[t * H + k]! += values[from + k]!;
      }
    }
    normForward(thread, parameters.norm, kept.norm, { x: spare, out: kept.out, first, rows, epsilon });
  });
}

/** Adds the gradients of the tables and the norm. @param call.dOut [T][H]; `dSum` [T][H] is overwritten */
export function embeddingBackward(
  thread: Thread,
  parameters: EmbeddingParameters,
  kept: EmbeddingActivations,
  tokens: TokenRows,
  { rows }: Batch,
  { dOut, dSum }: { readonly dOut: number; readonly dSum: number },
): void {
  eachChunk(thread, rows, (first, count) =>
    normBackward(thread, parameters.norm, kept.norm, { dOut, dx: dSum, first, rows: count }),
  );
  eachTask(thread, [
    ...lookups(parameters, tokens).flatMap(([table, picks]) => scatterTasks(table, picks, dSum, rows)),
    ...normGradients(parameters.norm, kept.norm, { dOut, rows }),
  ]);
}

/** A row of the table gets the sum of the gradients of the rows that it was picked for, in their order. */
function scatterTasks({ trained }: Parameter, picks: number, dSum: number, rows: number): GradientTask[] {
  if (!trained) return [];
  const H = trained.columns;
  return [
    ({ kernels: { arena } }) => {
      const ids = arena.ints(picks, rows);
      const from = arena.floats(dSum, rows * H);
      const gradient = arena.floats(trained.gradient, trained.rows * H);
      for (let t = 0; t < rows; t++) {
        const to = ids[t]! * H;
        for (let k = 0; k < H; k++) gradient[to + k]! += from[t * H + k]!;
      }
    },
  ];
}
