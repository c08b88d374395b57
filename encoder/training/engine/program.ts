import { fillF32Matrix, fillInt8Matrix, type Int8Matrix, loadKernels } from '../../../kernels/index.ts';
import { quantizeWeightRows } from '../../transformer/tensor-source.ts';
import { embeddingBackward, embeddingForward } from '../passes/embedding.ts';
import { layerBackward, layerForward } from '../passes/layer.ts';
import { pairHeadBackward, pairHeadForward } from '../passes/pair-head.ts';
import type { Batch, Thread } from '../passes/pass.ts';
import { sparseHeadBackward, sparseHeadForward } from '../passes/sparse-head.ts';
import { vectorHeadBackward, vectorHeadForward } from '../passes/vector-head.ts';
import type { TrainingContext, TrainingPlan } from './plan.ts';
import { TEAM_WORDS, Team } from './team.ts';
import { type Piece, piecesOf } from './update.ts';

/** Factors of one AdamW step; `kernels/training/training-kernels.ts` says what they mean. */
export interface UpdateFactors {
  readonly clip: number;
  readonly rate: number;
  readonly decay: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly rootCorrection: number;
  readonly epsilon: number;
}

/** What all threads do together. Rows, starts, tokens or states and the gradients of the outputs lie in the arena. */
export type Command =
  | {
      readonly kind: 'forward';
      readonly rows: number;
      readonly sequences: number;
      /** Sequences at the front whose terms are computed; 0 where they are known. */
      readonly withTerms: number;
    }
  | { readonly kind: 'backward'; readonly rows: number; readonly sequences: number; readonly pairs: number }
  /** Sets all gradients to 0. */
  | { readonly kind: 'clear' }
  /** Writes the sum of squares of each piece of the gradients. */
  | { readonly kind: 'squares' }
  | { readonly kind: 'update'; readonly factors: UpdateFactors }
  /** Packs the decoder again, after its weights have changed. */
  | { readonly kind: 'pack' };

/** Rows of the decoder that are packed at once; a multiple of 32. */
const PACK_ROWS = 1024;

/** One thread's part of every command. */
export class Program {
  readonly #plan: TrainingPlan;
  readonly #thread: Thread;
  readonly #pieces: readonly Piece[];

  constructor({ plan, memory }: TrainingContext, index: number) {
    this.#plan = plan;
    const { stack, scratch } = plan.threads[index]!;
    const kernels = loadKernels(plan.backend).bind(memory, stack);
    const team = new Team(kernels.arena.ints(plan.team, TEAM_WORDS), index, plan.threads.length);
    this.#thread = { kernels, team, scratch };
    this.#pieces = piecesOf(plan.parameters);
  }

  run(command: Command): void {
    const { starts } = this.#plan;
    if (command.kind === 'forward') this.#forward({ ...command, starts }, command.withTerms);
    else if (command.kind === 'backward') this.#backward({ ...command, starts }, command.pairs);
    else if (command.kind === 'pack') this.#packDecoder();
    else this.#eachPiece(command);
  }

  #eachPiece(command: Extract<Command, { kind: 'clear' | 'squares' | 'update' }>): void {
    const { kernels, team } = this.#thread;
    team.each(this.#pieces.length, (i) => {
      const piece = this.#pieces[i]!;
      const { offset, count } = gradientOf(piece);
      if (command.kind === 'clear') kernels.arena.floats(offset, count).fill(0);
      else if (command.kind === 'squares')
        kernels.training.sumSquares(offset, count, this.#plan.partialSums + 4 * i);
      else this.#update(piece, command.factors);
    });
  }

  #forward(batch: Batch, withTerms: number): void {
    const plan = this.#plan;
    const { shape, gradients, embedding } = plan;
    const { epsilon } = shape;
    if (embedding)
      embeddingForward(this.#thread, embedding.parameters, embedding.activations, plan.tokens, batch, {
        spare: gradients.dSum,
        epsilon,
      });
    let x = plan.input;
    for (const { parameters, activations } of plan.layers) {
      layerForward(this.#thread, shape, parameters, activations, batch, { x, spare: gradients.dSum });
      x = activations.out;
    }
    if (plan.sparse)
      sparseHeadForward(this.#thread, plan.sparse.parameters, plan.sparse.activations, batch, {
        x,
        epsilon,
        withTerms,
      });
    if (plan.vector)
      vectorHeadForward(this.#thread, plan.vector.parameters, plan.vector.activations, batch, x);
    if (plan.pair) pairHeadForward(this.#thread, plan.pair.parameters, plan.pair.activations, batch, x);
  }

  #backward(batch: Batch, pairs: number): void {
    const plan = this.#plan;
    const { layers, shape, gradients, embedding } = plan;
    let [dOut, dx] = plan.dStream;
    this.#headsBackward(batch, pairs, layers.length > 0 ? dOut : undefined);
    for (let i = layers.length - 1; i >= 0; i--) {
      const { parameters, activations } = layers[i]!;
      layerBackward(this.#thread, shape, parameters, activations, batch, {
        ...gradients,
        x: i === 0 ? plan.input : layers[i - 1]!.activations.out,
        dOut,
        dx,
        isLowest: i === 0 && !embedding,
      });
      [dOut, dx] = [dx, dOut];
    }
    if (embedding)
      embeddingBackward(this.#thread, embedding.parameters, embedding.activations, plan.tokens, batch, {
        dOut,
        dSum: gradients.dSum,
      });
  }

  /** @param dx receives the gradient of the body's last states */
  #headsBackward(batch: Batch, pairs: number, dx: number | undefined): void {
    const { sparse, vector, pair, gradients, layers, input } = this.#plan;
    const x = layers.at(-1)?.activations.out ?? input;
    if (sparse)
      sparseHeadBackward(this.#thread, sparse.parameters, sparse.activations, batch, {
        x,
        dx,
        dStates: gradients.dSum,
        dInner: gradients.dMiddle,
        pairs: { ...sparse.pairs, pairs },
      });
    else if (dx !== undefined)
      this.#thread.team.once(() => {
        this.#thread.kernels.arena.floats(dx, batch.rows * this.#plan.shape.hiddenSize).fill(0);
      });
    if (vector)
      vectorHeadBackward(this.#thread, vector.parameters, vector.activations, batch, { ...vector, dx });
    if (pair) pairHeadBackward(this.#thread, pair.parameters, pair.activations, batch, { ...pair, dx });
  }

  #update({ parameter, trained, firstRow, rows }: Piece, factors: UpdateFactors): void {
    const { columns: stride, offset, decays } = parameter;
    const skipped = 4 * firstRow * trained.columns;
    const isWhole = trained.columns === stride;
    this.#thread.kernels.training.adamw({
      ...factors,
      decay: decays ? factors.decay : 0,
      w: offset + 4 * ((trained.firstRow + firstRow) * stride + trained.firstColumn),
      g: trained.gradient + skipped,
      first: trained.first + skipped,
      second: trained.second + skipped,
      // Rows without gaps are one long row.
      rows: isWhole ? 1 : rows,
      columns: isWhole ? rows * stride : trained.columns,
      stride: isWhole ? rows * stride : stride,
    });
  }

  #packDecoder(): void {
    const { sparse } = this.#plan;
    if (!sparse) return;
    const { arena } = this.#thread.kernels;
    const { packed, decoder, decoderBias } = sparse.parameters;
    const { rows: V, columns: H } = decoder;
    if (packed.kind === 'f32') {
      this.#thread.team.once(() => {
        const bias = arena.floats(decoderBias.offset, V).slice();
        fillF32Matrix(arena, packed.matrix, arena.floats(decoder.offset, V * H), bias);
      });
      return;
    }
    this.#thread.team.each(Math.ceil(V / PACK_ROWS), (item) => {
      const first = item * PACK_ROWS;
      const rows = Math.min(PACK_ROWS, V - first);
      const values = arena.floats(decoder.offset + 4 * first * H, rows * H);
      const bias = arena.floats(decoderBias.offset + 4 * first, rows).slice();
      fillInt8Matrix(arena, rowsOfMatrix(packed.matrix, first, rows), [
        { ...quantizeWeightRows(values, rows, H), bias },
      ]);
    });
  }
}

const gradientOf = ({ trained, firstRow, rows }: Piece) => ({
  offset: trained.gradient + 4 * firstRow * trained.columns,
  count: rows * trained.columns,
});

/** Outputs first .. first + outputs - 1 of a packed matrix; `first` is a multiple of 32. */
const rowsOfMatrix = (matrix: Int8Matrix, first: number, outputs: number): Int8Matrix => ({
  ...matrix,
  outputs,
  values: matrix.values + first * matrix.stride,
  scales: matrix.scales + 4 * first,
  sums: matrix.sums + 4 * first,
  bias: matrix.bias + 4 * first,
});
