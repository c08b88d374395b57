import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createModelFolder } from '../../../encoder/training/new-model.ts';
import type { TrainingExample } from '../../../encoder/training/types.ts';

/** Passages of four topics, so that something can be learned: a query names its topic by words that its passage lacks. */
const TOPICS = [
  { words: ['engine', 'wing', 'rudder', 'cockpit', 'runway'], name: 'aircraft' },
  { words: ['flour', 'oven', 'yeast', 'crust', 'dough'], name: 'bread' },
  { words: ['court', 'judge', 'verdict', 'appeal', 'witness'], name: 'law' },
  { words: ['cell', 'enzyme', 'protein', 'tissue', 'gene'], name: 'biology' },
];

const passage = (words: readonly string[], turn: number): string =>
  Array.from({ length: 12 }, (_, i) => words[(i * (turn + 1) + turn) % words.length]).join(' ');

const TINY_TEXTS: readonly string[] = TOPICS.flatMap(({ words, name }) => [
  name,
  ...Array.from({ length: 8 }, (_, turn) => passage(words, turn)),
]);

/** 32 examples: the name of a topic, a passage of it, one of another. */
export const tinyExamples = (): TrainingExample[] =>
  TOPICS.flatMap(({ words, name }, topic) =>
    Array.from({ length: 8 }, (_, turn) => ({
      query: `${name} ${words[turn % words.length]}`,
      passages: [passage(words, turn), passage(TOPICS[(topic + 1 + (turn % 3)) % 4]!.words, turn)],
      ...(turn % 2 === 0 && { targets: [0.9, 0.1 * turn] }),
    })),
  );

/** A folder with a model of random weights in `model`. */
export function tinyModel(): { readonly folder: string; readonly model: string } {
  const folder = mkdtempSync(join(tmpdir(), 'winnow-training-'));
  const model = join(folder, 'model');
  createModelFolder({
    texts: TINY_TEXTS,
    target: model,
    vocabulary: 600,
    hiddenSize: 32,
    heads: 2,
    maxTokens: 32,
  });
  return { folder, model };
}
