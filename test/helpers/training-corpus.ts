import { cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createModelFolder } from '../../encoder/training/new-model.ts';
import type { Train } from '../../encoder/training/types.ts';
import { randomSource } from '../kernels/helpers.ts';
import { tempFolder } from './temp-folder.ts';

const WORDS =
  'river stone cloud market engine garden winter letter copper music harbour candle forest bridge doctor planet silver window farmer castle island mirror pepper rocket saddle tunnel violin walnut anchor basket'.split(
    ' ',
  );

/** Texts in which every document has words of its own, so that its queries find it. */
export function trainingTexts(count: number): { id: string; title: string; text: string }[] {
  const random = randomSource(5);
  const pick = (): string => WORDS[Math.floor(random() * WORDS.length)]!;
  return Array.from({ length: count }, (_, i) => {
    const own = [pick(), pick(), pick()];
    const sentence = (): string => `${own[0]} ${pick()} ${own[1]} ${pick()} ${own[2]} ${pick()}.`;
    return { id: `d${i}`, title: `${own[0]} ${own[1]}`, text: `${sentence()} ${sentence()} ${sentence()}` };
  });
}

/** A corpus file of {@link trainingTexts}. */
export function trainingCorpus(count: number): string {
  const file = join(tempFolder(), 'docs.jsonl');
  writeFileSync(
    file,
    trainingTexts(count)
      .map((row) => JSON.stringify(row))
      .join('\n'),
  );
  return file;
}

/** A tiny model folder with the vocabulary of {@link trainingTexts}; it weighs a text's own words, so it can search. */
export function wordModel(seed = 1): string {
  const target = join(tempFolder(), 'words');
  createModelFolder({
    texts: trainingTexts(60).map(({ text }) => text),
    target,
    seed,
    vocabulary: 1200,
    hiddenSize: 64,
    heads: 2,
    layers: 1,
  });
  return target;
}

/** A trainer that learns nothing: its result is a given model folder. It validates twice, as the real one does. */
export function fakeTrainer(result: string, onExamples: (count: number) => void = () => {}): Train {
  return async (examples, { target, steps = 4, validate, onStep, signal, modelFolder }) => {
    onExamples(examples.length);
    for (let step = 1; step <= steps; step++) {
      signal?.throwIfAborted();
      onStep?.({ phase: 'steps', step, steps, tokens: 100 * step, seconds: step, loss: 1 / step });
    }
    const firstScore = await validate?.(modelFolder);
    const bestScore = await validate?.(result);
    cpSync(result, target, { recursive: true });
    return {
      steps,
      losses: Array.from({ length: steps }, (_, i) => 1 / (i + 1)),
      bestScore,
      firstScore,
      bestStep: steps,
      seconds: steps,
      tokens: 100 * steps,
      stoppedEarly: false,
    };
  };
}
