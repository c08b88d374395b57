// A process that trains, so that it can be killed: the folder of the run as its only argument. Prints its result as JSON.
import { join } from 'node:path';
import { train } from '../../../encoder/training/train.ts';
import { tinyExamples } from './tiny.ts';

const [folder, scope] = process.argv.slice(2) as [string, 'head' | 'channels' | 'all'];
const result = await train(tinyExamples(), {
  modelFolder: join(folder, '..', 'model'),
  target: join(folder, 'trained'),
  checkpointFolder: join(folder, 'checkpoint'),
  scope,
  steps: 24,
  batchSize: 4,
  checkpointEvery: 3,
  validateEvery: 8,
  // Any number that depends on the model and on nothing else.
  validate: async (model) => {
    const { readFileSync } = await import('node:fs');
    return readFileSync(join(model, 'weights.winnow')).reduce((sum, byte) => (sum * 31 + byte) % 65_521, 7);
  },
  patience: 10,
  threads: 1,
  onStep: ({ phase, step }) => process.stderr.write(`${phase} ${step}\n`),
});
process.stdout.write(JSON.stringify(result));
