// Child process: plays a history from step FIRST on, forever or to step LAST, and says so after each step.
// Arguments: folder, seed, first step, last step (-1 = none), how to merge: "small" (in one transaction), "large" (a
// transaction a part), "background" (the same in a thread) or "thread" (writes, too, run in a thread).
import { WinnowError } from '../../errors.ts';
import { IndexStore } from '../../indexer/index-store.ts';
import { SETTINGS } from '../helpers/documents.ts';
import { say } from '../helpers/say.ts';
import { play, playInBackground } from './history.ts';

const [folder, seed, first, last, merges] = process.argv.slice(2) as [string, string, string, string, string];
const store = IndexStore.openOrCreate(folder, SETTINGS, {
  merges: merges === 'background' || merges === 'thread' ? 'background' : 'inline',
  inlineMergeBytes: merges === 'small' ? Number.POSITIVE_INFINITY : 0,
  reorderFrom: 64,
});
say('ready');
let saidThread = false;
for (let i = Number(first); Number(last) < 0 || i <= Number(last); i++) {
  try {
    if (merges === 'thread') await playInBackground(store, Number(seed), i);
    else play(store, Number(seed), i);
    say(String(i));
  } catch (error) {
    if (!(error instanceof WinnowError)) throw error;
    say(`error ${error.code}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
    i--; // a write that failed changed nothing: the same step again
  }
  if (store.background.hasThread && !saidThread) {
    say('thread');
    saidThread = true;
  }
  if (merges === 'background' || merges === 'thread') await new Promise((resolve) => setTimeout(resolve, 1));
}
await store.merged();
await store.close();
