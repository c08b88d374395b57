import type { Worker } from 'node:worker_threads';
import { WinnowError } from '../../errors.ts';
import { startThread } from '../../worker-thread.ts';
import type { SparseVector } from '../types.ts';
import type { TokenSequence } from './bert-body.ts';
import type { EngineSeat } from './engine.ts';
import { packBatch, type ResultMessage, unpackVectors } from './messages.ts';

interface Job {
  readonly batch: readonly TokenSequence[];
  readonly resolve: (vectors: SparseVector[]) => void;
  readonly reject: (error: unknown) => void;
}

interface Seat {
  readonly worker: Worker;
  job: Job | undefined;
}

/** Worker threads that encode batches side by side; the caller's thread stays free. */
export class EncoderPool {
  readonly #seats: Seat[];
  readonly #queue: Job[] = [];
  #failure: WinnowError | undefined;

  constructor(seats: readonly EngineSeat[]) {
    this.#seats = seats.map((seat) => {
      const own: Seat = { worker: startThread('encoder/backends/worker', seat), job: undefined };
      own.worker.on('message', (result: ResultMessage) => this.#finish(own, result));
      own.worker.on('error', (cause) => this.#fail(`an encoder thread ended: ${cause.message}`, cause));
      own.worker.on('exit', () => this.#fail('an encoder thread ended'));
      // An idle pool does not keep the process alive.
      own.worker.unref();
      return own;
    });
  }

  encodeBatch(batch: readonly TokenSequence[]): Promise<SparseVector[]> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) {
        reject(this.#failure);
        return;
      }
      this.#queue.push({ batch, resolve, reject });
      for (const seat of this.#seats) if (seat.job === undefined) this.#next(seat);
    });
  }

  async close(): Promise<void> {
    this.#fail('the encoder is closed');
    await Promise.all(this.#seats.map(({ worker }) => worker.terminate()));
  }

  #next(seat: Seat): void {
    seat.job = this.#queue.shift();
    if (seat.job === undefined) {
      seat.worker.unref();
      return;
    }
    seat.worker.ref();
    seat.worker.postMessage(packBatch(seat.job.batch));
  }

  #finish(seat: Seat, result: ResultMessage): void {
    const job = seat.job;
    this.#next(seat);
    try {
      job?.resolve(unpackVectors(result));
    } catch (error) {
      job?.reject(error);
    }
  }

  #fail(message: string, cause?: unknown): void {
    this.#failure ??= new WinnowError('WINNOW_KERNEL_UNAVAILABLE', message, { cause });
    for (const seat of this.#seats) {
      seat.job?.reject(this.#failure);
      seat.job = undefined;
    }
    for (const job of this.#queue.splice(0)) job.reject(this.#failure);
  }
}
