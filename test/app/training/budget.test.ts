import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { planBudget, VALIDATIONS } from '../../../app/training/budget.ts';
import type { Train, TrainingExample } from '../../../encoder/training/types.ts';

const test = suite('time for training');
const examples: TrainingExample[] = Array.from({ length: 400 }, (_, i) => ({
  query: `q${i}`,
  passages: ['a', 'b'],
}));
const options = { modelFolder: 'm', target: 't', scope: 'head', batchSize: 16 } as const;

/** A trainer on which a passage takes `perPassage` and a step `perStep` seconds. */
const trainer =
  (perPassage: number, perStep: number): Train =>
  async (given, { steps = 1, onStep, validate, checkpointFolder }) => {
    assert.is(validate, undefined);
    assert.is(checkpointFolder, undefined);
    const count = given.length * 2;
    const states = count * perPassage;
    const report = { steps, tokens: 0 };
    if (perPassage > 0) onStep?.({ ...report, phase: 'states', step: count, seconds: states });
    for (let step = 1; step <= steps; step++)
      onStep?.({ ...report, phase: 'steps', step, seconds: states + step * perStep });
    return {
      steps,
      losses: [],
      bestScore: undefined,
      firstScore: undefined,
      bestStep: steps,
      seconds: 0,
      tokens: 0,
      stoppedEarly: false,
    };
  };
const plan = (perPassage: number, perStep: number, seconds: number, validationSeconds = 0) =>
  planBudget(
    trainer(perPassage, perStep),
    examples,
    { ...options, validate: async () => 0, checkpointFolder: 'c' },
    { seconds, validationSeconds },
  );

test('with time enough all examples are learned, some times over', async () => {
  assert.equal(await plan(0.001, 0.01, 1000), { examples: 400, steps: 200 });
});

test('a plan fits into the time that it has, as long as the least is possible', async () => {
  for (const [perPassage, perStep, seconds, validation] of [
    [0.1, 1, 300, 5],
    [0.5, 0.1, 200, 0],
    [0, 2, 300, 10],
    [0.01, 3, 900, 30],
  ] as const) {
    const { examples: count, steps } = await plan(perPassage, perStep, seconds, validation);
    const needed = count * 2 * perPassage + steps * perStep + (VALIDATIONS + 1) * validation;
    assert.ok(needed <= seconds, `${needed} of ${seconds} s for ${count} examples and ${steps} steps`);
    assert.ok(count >= 16 && steps >= 20);
  }
});

test('without time the least is done all the same', async () => {
  assert.equal(await plan(1, 10, 1), { examples: 16, steps: 20 });
});

test.run();
