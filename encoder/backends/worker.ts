// One encoder thread: takes its seat from workerData, then answers one batch a message.
import { parentPort, workerData } from 'node:worker_threads';
import { Engine, type EngineSeat } from './engine.ts';
import { type BatchMessage, packError, packVectors, unpackBatch } from './messages.ts';

const port = parentPort!;
const engine = new Engine(workerData as EngineSeat);

port.on('message', (batch: BatchMessage) => {
  try {
    const result = packVectors(engine.encodeBatch(unpackBatch(batch)));
    if ('error' in result) throw new Error('packVectors never answers an error');
    port.postMessage(result, [
      result.counts.buffer,
      result.termIds.buffer,
      result.weights.buffer,
    ] as ArrayBuffer[]);
  } catch (error) {
    port.postMessage(packError(error));
  }
});
