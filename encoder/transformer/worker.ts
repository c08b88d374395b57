import { parentPort, workerData } from 'node:worker_threads';
import { loadKernels } from '../../kernels/index.ts';
import { BatchRunner, type WorkerContext } from './batch-runner.ts';
import type { Head } from './head.ts';
import { packError, type WorkMessage } from './messages.ts';

/**
 * Makes the current worker thread answer batches with a head: one reply per {@link WorkMessage}, in order. An entry module
 * ({@link Head.workerEntry}) consists of a call of this; its pool sends the {@link WorkerContext} as workerData.
 */
export function serveBatches<Result>(head: Head<Result>): void {
  const port = parentPort!;
  const context = workerData as WorkerContext;
  // There are as many of these threads as cores, and searches on the main thread must not wait for one of them to pause.
  loadKernels(context.backend).lowerPriority?.();
  const runner = new BatchRunner(head, context);
  port.on('message', (message: WorkMessage) => {
    try {
      const results = runner.answer(message);
      const buffers = new Set(Object.values(results).map(({ buffer }) => buffer as ArrayBuffer));
      port.postMessage({ results }, [...buffers]);
    } catch (error) {
      port.postMessage(packError(error));
    }
  });
}
