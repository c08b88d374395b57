import { once } from 'node:events';
import type { Worker } from 'node:worker_threads';
import { WinnowError } from '../../../errors.ts';
import { type Arena, ArenaLayout, type KernelBackend, loadKernels } from '../../../kernels/index.ts';
import { startThread } from '../../../worker-thread.ts';
import { writeTokens } from '../../transformer/body.ts';
import { type ReplyMessage, resultsOf } from '../../transformer/messages.ts';
import { detectPattern } from '../../transformer/sparse-storage.ts';
import { quantizeWeightRows, TensorSource } from '../../transformer/tensor-source.ts';
import type { ModelWeights, Tensor } from '../../transformer/weights-file.ts';
import { eachTrainedRow, type Parameter, sizeOf } from './parameters.ts';
import { MAX_PIECES, type PlanOptions, planTraining, type TrainingContext } from './plan.ts';
import { type Command, Program, type UpdateFactors } from './program.ts';
import { piecesOf } from './update.ts';

/** One sequence of a batch: its tokens, or what the frozen part of the body made of them. */
export interface BatchSequence {
  readonly ids: ArrayLike<number>;
  readonly typeIds?: ArrayLike<number>;
  /** Writes [tokens][H] f32 to `into`; needed where the embeddings are frozen. */
  readonly loadStates?: (into: Float32Array) => void;
}

/** The terms of a sequence that may be on, with their largest logits and the rows of the batch that have them. */
export interface SequenceTerms {
  readonly terms: Int32Array;
  readonly rows: Int32Array;
  readonly logits: Float32Array;
}

/** Logits of a sequence, with the gradient of the loss by each; `rows` of the batch that is in the arena. */
export interface SequenceTermGradients {
  readonly terms: ArrayLike<number>;
  readonly rows: ArrayLike<number>;
  readonly gradients: ArrayLike<number>;
}

/** Weights and moments of all trained regions, in the order of the plan, without gaps. */
export interface TrainedState {
  readonly weights: Float32Array;
  readonly first: Float32Array;
  readonly second: Float32Array;
}

export interface EngineOptions extends Omit<PlanOptions, 'threads'> {
  /** 0: the calling thread computes. */
  readonly threads: number;
  readonly backend?: KernelBackend | undefined;
}

/** Forward and backward passes and updates of one model, on threads. One call at a time. */
export class Engine {
  readonly arena: Arena;
  readonly #context: TrainingContext;
  readonly #workers: readonly Worker[];
  readonly #own: Program | undefined;
  #rows = 0;
  #sequences = 0;

  private constructor(context: TrainingContext, arena: Arena, workers: readonly Worker[]) {
    this.#context = context;
    this.arena = arena;
    this.#workers = workers;
    this.#own = workers.length === 0 ? new Program(context, 0) : undefined;
  }

  /** @throws WinnowError WINNOW_MODEL_INVALID, WINNOW_BAD_ARGUMENT for more than 4 GiB, WINNOW_KERNEL_UNAVAILABLE */
  static async create({ config, tensors }: ModelWeights, options: EngineOptions): Promise<Engine> {
    const library = loadKernels(options.backend);
    const layout = new ArenaLayout(library.arenaStart);
    const { plan, planner } = planTraining(layout, library, config, tensors, {
      ...options,
      threads: Math.max(1, options.threads),
    });
    if (piecesOf(plan.parameters).length > MAX_PIECES)
      throw new WinnowError('WINNOW_BAD_ARGUMENT', 'the model is too large to be trained here', {
        place: 'scope',
        hint: 'train the scope "head" or "channels"',
      });
    const context = { plan, memory: library.newMemory(layout.sizeBytes) };
    const { arena } = library.bind(context.memory, plan.threads[0]!.stack);
    planner.fill(arena);
    const workers = Array.from({ length: options.threads }, (_, index) =>
      startThread('encoder/training/engine/engine-worker', { context, index }),
    );
    const engine = new Engine(context, arena, workers);
    await engine.run({ kind: 'pack' });
    return engine;
  }

  get plan() {
    return this.#context.plan;
  }

  /** Executes a command on all threads. */
  async run(command: Command): Promise<void> {
    if (this.#own) {
      this.#own.run(command);
      return;
    }
    const replies = this.#workers.map(async (worker) => {
      const ended = new AbortController();
      const reply = once(worker, 'message', ended);
      const exit = once(worker, 'exit', ended).then(() => {
        throw new WinnowError('WINNOW_KERNEL_UNAVAILABLE', 'a training thread ended');
      });
      worker.postMessage(command);
      try {
        const [message] = (await Promise.race([reply, exit])) as [ReplyMessage];
        resultsOf(message);
      } finally {
        ended.abort();
        for (const pending of [reply, exit]) pending.catch(() => {});
      }
    });
    await Promise.all(replies);
  }

  /**
   * Runs the sequences through the model; the results and what the gradient needs stay in the arena until the next batch.
   *
   * @param batch at most `plan.limits` sequences and rows
   * @param withTerms sequences at the front whose terms are computed, which takes most of the time
   */
  async forward(batch: readonly BatchSequence[], withTerms: number): Promise<void> {
    const { plan, arena } = this;
    const starts = arena.ints(plan.starts, batch.length + 1);
    starts[0] = 0;
    batch.forEach(({ ids }, i) => {
      starts[i + 1] = starts[i]! + ids.length;
    });
    this.#sequences = batch.length;
    this.#rows = starts[batch.length]!;
    if (plan.embedding) this.#loadTokens(batch);
    else {
      const H = plan.shape.hiddenSize;
      for (const [i, { loadStates, ids }] of batch.entries())
        loadStates!(arena.floats(plan.input + 4 * starts[i]! * H, ids.length * H));
    }
    await this.run({ kind: 'forward', rows: this.#rows, sequences: batch.length, withTerms });
  }

  #loadTokens(batch: readonly BatchSequence[]): void {
    const { tokens } = this.plan;
    const view = (offset: number) => this.arena.ints(offset, this.#rows);
    writeTokens(batch, view(tokens.ids), view(tokens.positions), view(tokens.types));
  }

  /** Copies of what the sparse head found for sequence `index` of the batch. */
  termsOf(index: number): SequenceTerms {
    const { activations } = this.plan.sparse!;
    const { arena } = this;
    const offset = 4 * index * activations.stride;
    const count = arena.i32[activations.counts / 4 + index]!;
    return {
      terms: arena.ints(activations.terms + offset, count).slice(),
      rows: arena.ints(activations.rows + offset, count).slice(),
      logits: arena.floats(activations.logits + offset, count).slice(),
    };
  }

  /** The largest logit of any term in sequence `index`, as the product of quantised rows gives it, and its row. */
  maximumOf(index: number, term: number): { readonly logit: number; readonly row: number } {
    const { activations } = this.plan.sparse!;
    const at = index * activations.stride + term;
    const logit = this.arena.f32[activations.maxima / 4 + at]!;
    return { logit, row: this.arena.i32[activations.argmaxRows / 4 + at]! };
  }

  /** The vector of sequence `index`, not of length 1: a copy. */
  vectorOf(index: number): Float32Array {
    const { activations, parameters } = this.plan.vector!;
    const size = parameters.weight.rows;
    return this.arena.floats(activations.vectors + 4 * index * size, size).slice();
  }

  /** The logit of pair `index`. */
  logitOf(index: number): number {
    return this.arena.f32[this.plan.pair!.activations.logits / 4 + index]!;
  }

  /** Adds the gradients of the batch that is in the arena; one entry per sequence for each output that the model has. */
  async backward(gradients: {
    readonly terms?: readonly SequenceTermGradients[];
    readonly vectors?: readonly ArrayLike<number>[];
    readonly logits?: readonly number[];
  }): Promise<void> {
    const { arena, plan } = this;
    const pairs = this.#writePairs(gradients.terms ?? []);
    if (plan.vector) {
      const size = plan.vector.parameters.weight.rows;
      for (const [i, vector] of gradients.vectors!.entries())
        arena.floats(plan.vector.dVectors + 4 * i * size, size).set(vector);
    }
    if (plan.pair) arena.floats(plan.pair.dLogits, this.#sequences).set(gradients.logits!);
    await this.run({ kind: 'backward', rows: this.#rows, sequences: this.#sequences, pairs });
  }

  #writePairs(terms: readonly SequenceTermGradients[]): number {
    const { sparse } = this.plan;
    if (!sparse) return 0;
    const total = terms.reduce((sum, { gradients }) => sum + gradients.length, 0);
    const rows = this.arena.ints(sparse.pairs.rows, total);
    const ids = this.arena.ints(sparse.pairs.terms, total);
    const values = this.arena.floats(sparse.pairs.gradients, total);
    let at = 0;
    for (const one of terms) {
      rows.set(one.rows, at);
      ids.set(one.terms, at);
      values.set(one.gradients, at);
      at += one.gradients.length;
    }
    return total;
  }

  clearGradients(): Promise<void> {
    return this.run({ kind: 'clear' });
  }

  /** Length of the gradient of all parameters together. */
  async gradientNorm(): Promise<number> {
    await this.run({ kind: 'squares' });
    const sums = this.arena.floats(this.plan.partialSums, piecesOf(this.plan.parameters).length);
    return Math.sqrt(sums.reduce((total, square) => total + square, 0));
  }

  /** One step of the optimiser; the decoder is packed again. */
  async update(factors: UpdateFactors): Promise<void> {
    await this.run({ kind: 'update', factors });
    if (this.plan.embedding) await this.run({ kind: 'pack' });
  }

  /** The trained parameters with the length of each gradient, by the name of their first tensor. */
  gradientNorms(): Map<string, number> {
    return new Map(
      this.#trained().map(({ tensors, trained }) => {
        const values = this.arena.floats(trained!.gradient, sizeOf(trained));
        return [tensors[0]!, Math.sqrt(values.reduce((sum, v) => sum + v * v, 0))];
      }),
    );
  }

  #trained(): Parameter[] {
    return this.plan.parameters.filter(({ trained }) => trained);
  }

  /** A copy of everything that training changes. */
  state(): TrainedState {
    const count = this.#trained().reduce((sum, { trained }) => sum + sizeOf(trained), 0);
    const state = {
      weights: new Float32Array(count),
      first: new Float32Array(count),
      second: new Float32Array(count),
    };
    let at = 0;
    for (const parameter of this.#trained()) {
      const { trained } = parameter;
      eachTrainedRow(this.arena, parameter, (row, i) => state.weights.set(row, at + i * trained!.columns));
      const size = sizeOf(trained);
      state.first.set(this.arena.floats(trained!.first, size), at);
      state.second.set(this.arena.floats(trained!.second, size), at);
      at += size;
    }
    return state;
  }

  /** Puts back a {@link state} of an engine with the same model and options. */
  async restore(state: TrainedState): Promise<void> {
    let at = 0;
    for (const parameter of this.#trained()) {
      const { trained } = parameter;
      eachTrainedRow(this.arena, parameter, (row, i) => {
        const from = at + i * trained!.columns;
        row.set(state.weights.subarray(from, from + trained!.columns));
      });
      const size = sizeOf(trained);
      this.arena.floats(trained!.first, size).set(state.first.subarray(at, at + size));
      this.arena.floats(trained!.second, size).set(state.second.subarray(at, at + size));
      at += size;
    }
    await this.run({ kind: 'pack' });
  }

  /**
   * The model's tensors with those that were trained in their place: matrices as int8 rows where the original had them so.
   *
   * @param share of the trained weights, above 0, at most 1; those of the original have the rest
   */
  tensors(original: ReadonlyMap<string, Tensor>, share = 1): Map<string, Tensor> {
    const tensors = new Map(original);
    const source = new TensorSource(original);
    for (const { tensors: names, offset, rows, columns } of this.#trained()) {
      const length = (rows * columns) / names.length;
      names.forEach((name, i) => {
        const data = this.arena.floats(offset + 4 * i * length, length).slice();
        const own = original.get(name)!;
        tensors.set(
          name,
          storedAs(own, share === 1 ? data : averaged(source.floats(name, own.shape), data, share)),
        );
      });
    }
    return tensors;
  }

  /** Ends the threads. */
  async close(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }
}

/** (1 - share) times the original plus share times the trained weights. */
const averaged = (original: Float32Array, trained: Float32Array, share: number): Float32Array =>
  trained.map((value, i) => (1 - share) * original[i]! + share * value);

function storedAs(original: Tensor, data: Float32Array): Tensor {
  if (original.dtype === 'f32') return { ...original, data };
  const [rows, columns] = original.shape;
  const quantized = quantizeWeightRows(data, rows, columns);
  const pattern = detectPattern(quantized.data, columns);
  return { dtype: 'i8', shape: original.shape, ...quantized, ...(pattern && { pattern }) };
}
