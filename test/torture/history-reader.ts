// Child process: reads an index again and again while another process writes it, and compares every view with what a history
// says. Arguments: folder, seed. Says how many views it has compared; ends with code 1 at the first that is wrong.
import { setTimeout as sleep } from 'node:timers/promises';
import { IndexStore } from '../../indexer/index-store.ts';
import { say } from '../helpers/say.ts';
import { CLOCK, contentsOf, type Model, modelAfter, sameModel, stepOf } from './history.ts';

const [folder, seedText] = process.argv.slice(2) as [string, string];
const seed = Number(seedText);
const store = IndexStore.open(folder, { readOnly: true });
let model: Model = new Map();
let modelSteps = 0;
for (let views = 1; ; views++) {
  const generation = store.view().acquire();
  const found = contentsOf(generation, seed);
  const { generation: number } = generation.manifest;
  generation.release();
  // The clock says which upsert came last; after it there may be steps that do not move it.
  const steps = (found.get(CLOCK) ?? -1) + 1;
  if (steps < modelSteps)
    throw new Error(`generation ${number} goes back from step ${modelSteps} to ${steps}`);
  model = modelAfter(seed, steps, model, modelSteps);
  modelSteps = steps;
  let allowed = model;
  let next = steps;
  let right = sameModel(found, allowed);
  while (!right && stepOf(seed, next).kind !== 'upsert') {
    allowed = modelAfter(seed, next + 1, allowed, next);
    next++;
    right = sameModel(found, allowed);
  }
  if (!right) throw new Error(`generation ${number} is no state of the history around step ${steps}`);
  say(`${views} views, ${steps} steps`);
  await sleep(5);
}
