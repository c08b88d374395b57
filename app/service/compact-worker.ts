// Thread that compacts an index while the thread that opened it goes on searching (compact.ts).
import { parentPort, workerData } from 'node:worker_threads';
import { compactIndex } from '../../indexer/admin/compact.ts';
import { packThreadError } from '../../worker-thread.ts';
import type { CompactAnswer } from './compact.ts';

parentPort?.postMessage(await compact());

async function compact(): Promise<CompactAnswer> {
  try {
    return { report: await compactIndex((workerData as { folder: string }).folder) };
  } catch (error) {
    return { error: packThreadError(error, 'WINNOW_SERVER') };
  }
}
