import { availableParallelism } from 'node:os';
import { WinnowError } from '../../errors.ts';
import { type KernelBackend, loadKernels } from '../../kernels/index.ts';
import type { ModelWeights } from '../model-file.ts';
import type { SparseVector } from '../types.ts';
import { batchesByLength } from './batches.ts';
import type { TokenSequence } from './bert-body.ts';
import { Engine, MAX_BATCH_SEQUENCES, prepareSeats } from './engine.ts';
import { EncoderPool } from './pool.ts';

export interface ForwardOptions {
  /** Kernel backend; default WINNOW_KERNELS, else the first of native, wasm, reference that loads. */
  readonly backend?: KernelBackend | undefined;
  /** Worker threads, 0..64; default: the cores, at most 8. 0 computes on the calling thread. */
  readonly threads?: number | undefined;
  /**
   * Tokens of a batch, at least the model's window (512); default 1024. Each thread holds some 4 KB a token of
   * activations (hidden size 384) beside 12 MB; larger batches are not faster.
   */
  readonly maxBatchTokens?: number | undefined;
}

/** A model ready to turn token ids into sparse vectors. */
export interface Forward {
  readonly backend: KernelBackend;
  readonly threads: number;
  /** Weights and the workspaces of all threads. */
  readonly memoryBytes: number;
  /**
   * @param sequences token ids with [CLS] and [SEP], 1..window tokens each, any number and order
   * @returns one vector a sequence, in the same order
   * @throws WinnowError WINNOW_BAD_ARGUMENT for an empty or too long sequence or an unknown id
   */
  encode(sequences: readonly TokenSequence[]): Promise<SparseVector[]>;
  close(): Promise<void>;
}

const MAX_DEFAULT_THREADS = 8;
const DEFAULT_BATCH_TOKENS = 1024;

/** Packs the weights once into shared memory and starts the threads; the model's tensors can be dropped afterwards. */
export function createForward(model: ModelWeights, options: ForwardOptions = {}): Forward {
  const window = model.config.max_position_embeddings;
  const threads = options.threads ?? Math.min(availableParallelism(), MAX_DEFAULT_THREADS);
  const maxBatchTokens = options.maxBatchTokens ?? Math.max(DEFAULT_BATCH_TOKENS, window);
  if (!Number.isInteger(threads) || threads < 0 || threads > 64) {
    throw new WinnowError('WINNOW_BAD_ARGUMENT', `threads must be 0..64, not ${threads}`, {
      place: 'threads',
    });
  }
  if (!Number.isInteger(maxBatchTokens) || maxBatchTokens < window || maxBatchTokens > 1 << 17) {
    throw new WinnowError(
      'WINNOW_BAD_ARGUMENT',
      `maxBatchTokens must be ${window}..131072, not ${maxBatchTokens}`,
      {
        place: 'maxBatchTokens',
      },
    );
  }
  const { backend } = loadKernels(options.backend);
  const { seats, sizeBytes } = prepareSeats(model, { backend, seats: Math.max(1, threads), maxBatchTokens });
  const runner = threads === 0 ? inline(new Engine(seats[0]!)) : new EncoderPool(seats);
  return {
    backend,
    threads,
    memoryBytes: sizeBytes,
    async encode(sequences) {
      sequences.forEach(({ ids }, index) => {
        if (ids.length === 0 || ids.length > window) {
          throw new WinnowError(
            'WINNOW_BAD_ARGUMENT',
            `a sequence must have 1..${window} tokens, not ${ids.length}`,
            {
              place: `sequences[${index}]`,
            },
          );
        }
      });
      const lengths = sequences.map(({ ids }) => ids.length);
      const results = new Array<SparseVector>(sequences.length);
      await Promise.all(
        batchesByLength(lengths, maxBatchTokens, MAX_BATCH_SEQUENCES).map(async (batch) => {
          const vectors = await runner.encodeBatch(batch.map((index) => sequences[index]!));
          batch.forEach((index, at) => {
            results[index] = vectors[at]!;
          });
        }),
      );
      return results;
    },
    close: () => runner.close(),
  };
}

function inline(engine: Engine): Pick<EncoderPool, 'encodeBatch' | 'close'> {
  return {
    encodeBatch: async (batch) => engine.encodeBatch(batch),
    close: async () => {},
  };
}
