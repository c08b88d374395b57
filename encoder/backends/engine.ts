import { WinnowError } from '../../errors.ts';
import {
  ArenaLayout,
  type ArenaMemory,
  type KernelBackend,
  type Kernels,
  loadKernels,
} from '../../kernels/index.ts';
import type { ModelWeights } from '../model-file.ts';
import type { TermWeighting } from '../term-weight.ts';
import type { SparseVector } from '../types.ts';
import { type BodyWorkspace, planWorkspace, runBody, type TokenSequence } from './bert-body.ts';
import { type BodyWeights, planBody, planSparseHead, type SparseHeadWeights } from './bert-weights.ts';
import { calibrate } from './calibration.ts';
import { planSparseHeadWorkspace, runSparseHead, type SparseHeadWorkspace } from './sparse-head.ts';

/** Sequences in a batch at most: bounds the [sequences][V] maxima of the head to 4 MB a thread. */
export const MAX_BATCH_SEQUENCES = 32;

/** Everything that a thread needs to encode: plain data and shared memory, so it travels by message. */
export interface EngineSeat {
  readonly backend: KernelBackend;
  readonly memory: ArenaMemory;
  readonly stack: number;
  readonly weighting: TermWeighting;
  readonly body: BodyWeights;
  readonly head: SparseHeadWeights;
  readonly work: BodyWorkspace;
  readonly headWork: SparseHeadWorkspace;
}

/**
 * Packs a model once into shared memory and gives each thread a seat: the same weights, its own workspace.
 *
 * @param backend `undefined` takes the best that loads
 * @param seats threads that will encode
 * @param maxBatchTokens tokens of a batch, at least the model's window
 */
export function prepareSeats(
  model: ModelWeights,
  {
    backend,
    seats,
    maxBatchTokens,
  }: { backend?: KernelBackend | undefined; seats: number; maxBatchTokens: number },
): { seats: EngineSeat[]; sizeBytes: number } {
  const { config } = model;
  const library = loadKernels(backend);
  const layout = new ArenaLayout(library.arenaStart);
  const { skipsZeros } = library;
  const body = planBody(layout, model, { copies: calibrate(model, library), skipsZeros });
  const head = planSparseHead(layout, model);
  const plans = Array.from({ length: seats }, () => ({
    stack: layout.reserve(library.stackBytes),
    work: planWorkspace(layout, body.weights, maxBatchTokens, MAX_BATCH_SEQUENCES),
    headWork: planSparseHeadWorkspace(layout, config.vocab_size, MAX_BATCH_SEQUENCES),
  }));
  const memory = library.newMemory(layout.sizeBytes);
  const { arena } = library.bind(memory);
  body.fill(arena);
  head.fill(arena);
  return {
    sizeBytes: layout.sizeBytes,
    seats: plans.map((plan) => ({
      ...plan,
      backend: library.backend,
      memory,
      weighting: config.winnow,
      body: body.weights,
      head: head.weights,
    })),
  };
}

/** Encodes batches on the calling thread. */
export class Engine {
  readonly #kernels: Kernels;
  readonly #seat: EngineSeat;

  constructor(seat: EngineSeat) {
    this.#seat = seat;
    this.#kernels = loadKernels(seat.backend).bind(seat.memory, seat.stack);
  }

  /** @param batch as {@link runBody} takes it; @returns one vector a sequence, in order */
  encodeBatch(batch: readonly TokenSequence[]): SparseVector[] {
    const { body, head, work, headWork, weighting } = this.#seat;
    checkBatch(batch, work, body.placeCount);
    const rows = runBody(this.#kernels, body, work, batch);
    return runSparseHead(this.#kernels, { body, head }, work, headWork, rows, batch.length, weighting);
  }
}

function checkBatch(batch: readonly TokenSequence[], work: BodyWorkspace, longest: number): void {
  const tokens = batch.reduce((sum, { ids }) => sum + ids.length, 0);
  if (batch.length === 0 || batch.length > work.sequences || tokens > work.capacity) {
    throw new WinnowError(
      'WINNOW_BAD_ARGUMENT',
      `a batch of ${batch.length} sequences and ${tokens} tokens exceeds ${work.sequences} and ${work.capacity}`,
    );
  }
  for (const { ids, types } of batch) {
    if (ids.length === 0 || ids.length > longest || (types !== undefined && types.length !== ids.length)) {
      throw new WinnowError(
        'WINNOW_BAD_ARGUMENT',
        `a sequence must have 1..${longest} tokens, not ${ids.length}`,
      );
    }
  }
}
