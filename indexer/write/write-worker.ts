// Thread that writes to an index while the thread that opened it goes on searching (write-thread.ts).
import { parentPort, workerData } from 'node:worker_threads';
import { packThreadError } from '../../worker-thread.ts';
import { IndexStore } from '../index-store.ts';
import { smallMerges } from '../merge/merge-policy.ts';
import { unpackSources } from './source-message.ts';
import type { WriteReply, WriteTask, WriteThreadData } from './write-thread.ts';

const { folder, smallMergeBytes } = workerData as WriteThreadData;
const store = IndexStore.open(folder, { merges: 'inline', mergePolicy: smallMerges(smallMergeBytes) });
const port = parentPort!;
port.on('message', (task: WriteTask | 'close') => {
  if (task === 'close') void store.close().then(() => port.close());
  else port.postMessage(replyTo(task));
});
port.postMessage('ready');

function replyTo(task: WriteTask): WriteReply {
  try {
    if ('deletes' in task) return { deleted: store.delete(task.deletes) };
    return { upserted: store.upsert(unpackSources(task.upserts)) };
  } catch (error) {
    return { error: packThreadError(error, 'WINNOW_STORAGE') };
  }
}
