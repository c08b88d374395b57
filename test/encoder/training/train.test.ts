import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createDocumentEncoder } from '../../../encoder/document-encoder.ts';
import { openModel } from '../../../encoder/model.ts';
import { createCrossEncoder } from '../../../encoder/rerank/cross-encoder.ts';
import { openCrossEncoderModel } from '../../../encoder/rerank/model.ts';
import { train } from '../../../encoder/training/train.ts';
import type { TrainingOptions, TrainingProgress, TrainingResult } from '../../../encoder/training/types.ts';
import { TensorSource } from '../../../encoder/transformer/tensor-source.ts';
import { crossEncoderFolder } from '../../helpers/cross-encoder-folder.ts';
import { tempFolder } from '../../helpers/temp-folder.ts';
import { codeOf, thrownBy } from '../../helpers/thrown.ts';
import { twoOutputFolder } from '../../helpers/two-output-folder.ts';
import { tinyExamples, tinyModel } from './tiny.ts';

const test = suite('training: train');

const { folder, model } = tinyModel();
const targetOf = () => join(tempFolder(), 'trained');

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/** The loss of the last quarter of a run is below that of its first. */
function checkLearned({ losses }: TrainingResult, factor: number): void {
  const quarter = Math.floor(losses.length / 4);
  const [first, last] = [mean(losses.slice(0, quarter)), mean(losses.slice(-quarter))];
  assert.ok(last < factor * first, `the loss went from ${first} to ${last}`);
}

const runOf = (options: Partial<TrainingOptions>): TrainingOptions => ({
  modelFolder: model,
  target: targetOf(),
  steps: 40,
  batchSize: 8,
  threads: 0,
  ...options,
});

for (const scope of ['head', 'channels', 'all'] as const)
  test(`scope ${scope}: a model folder that encodes, with a smaller loss`, async () => {
    const options = runOf({ scope, learningRate: 3e-3 });
    const result = await train(tinyExamples(), options);
    assert.is(result.steps, 40);
    assert.is(result.stoppedEarly, false);
    assert.ok(result.tokens > 0);
    checkLearned(result, 0.9);
    const trained = openModel(options.target);
    assert.is.not(trained.hash, openModel(model).hash);
    const encoder = await createDocumentEncoder(trained, { threads: 0 });
    const [vector] = await encoder.encode(['wing rudder cockpit']);
    await encoder.close();
    assert.ok(vector!.termIds.length > 0);
  });

test('with a share of the trained weights a model is the average of start and end, tensor by tensor', async () => {
  const tensorsOf = async (trainedShare: number) => {
    const options = runOf({ scope: 'all', steps: 6, learningRate: 3e-3, trainedShare });
    await train(tinyExamples(), options);
    return new TensorSource(openModel(options.target).readWeights().tensors);
  };
  const [end, middle] = [await tensorsOf(1), await tensorsOf(0.25)];
  const start = openModel(model).readWeights().tensors;
  const before = new TensorSource(start);
  let changed = 0;
  for (const [name, { shape, dtype }] of start) {
    const [a, b, mixed] = [before, end, middle].map((source) => source.floats(name, shape));
    // An int8 row is rounded to 1/127 of its largest weight, in the end and in the average.
    const step = dtype === 'i8' ? Math.max(...a!.map(Math.abs), ...b!.map(Math.abs)) / 127 : 1e-6;
    mixed!.forEach((value, i) => {
      const expected = 0.75 * a![i]! + 0.25 * b![i]!;
      assert.ok(Math.abs(value - expected) <= step, `${name} ${value} is not ${expected}`);
      if (a![i] !== b![i]) changed++;
    });
  }
  assert.ok(changed > 1000);
  for (const trainedShare of [0, 1.5])
    assert.is(
      await codeOf(() => train(tinyExamples(), runOf({ trainedShare }))),
      'WINNOW_BAD_ARGUMENT trainedShare',
    );
});

test('stage vector trains the second output alone', async () => {
  const source = twoOutputFolder(3);
  const options = runOf({
    modelFolder: source,
    stage: 'vector',
    steps: 30,
    learningRate: 1e-2,
    maxTokens: 32,
  });
  const result = await train(tinyExamples(), options);
  checkLearned(result, 0.9);
  const [before, after] = [source, options.target].map((path) => openModel(path).readWeights().tensors);
  const changed = [...after!].filter(([name, { data }]) =>
    data.some((v, i) => v !== before!.get(name)!.data[i]),
  );
  assert.equal(
    changed.map(([name]) => name),
    ['dense.weight', 'dense.bias'],
  );
});

test('stage encoder with a trained body keeps both outputs', async () => {
  const parts: TrainingProgress[] = [];
  const modelFolder = twoOutputFolder(4);
  const onStep = (progress: TrainingProgress) => parts.push(progress);
  await train(tinyExamples(), runOf({ modelFolder, scope: 'channels', steps: 2, maxTokens: 32, onStep }));
  const { parts: losses } = parts.at(-1)!;
  assert.ok(losses!.rank! >= 0 && losses!.vector! > 0, JSON.stringify(losses));
});

for (const scope of ['head', 'channels'] as const)
  test(`stage rerank, scope ${scope}: a cross-encoder that scores`, async () => {
    const options = runOf({
      modelFolder: crossEncoderFolder(5, {}, { pooler: scope === 'head' }),
      stage: 'rerank',
      scope,
      learningRate: 3e-3,
      maxTokens: 40,
    });
    checkLearned(await train(tinyExamples(), options), 0.95);
    const encoder = createCrossEncoder(openCrossEncoderModel(options.target), { threads: 0 });
    const scores = await encoder.score('aircraft', [{ key: 'a', title: '', text: 'wing rudder' }]);
    await encoder.close();
    assert.ok(Number.isFinite(scores[0]));
  });

test('the best validated model is kept, and training stops when it no longer gets better', async () => {
  const scores = [0.5, 0.6, 0.4, 0.3, 0.9];
  const judged: string[] = [];
  const options = runOf({
    validate: async (path) => {
      judged.push(readFileSync(join(path, 'weights.winnow')).toString('latin1'));
      return scores[judged.length - 1]!;
    },
    validateEvery: 4,
    patience: 2,
  });
  const result = await train(tinyExamples(), options);
  assert.is(judged.length, 4);
  assert.equal(
    [result.firstScore, result.bestScore, result.bestStep, result.stoppedEarly, result.steps],
    [0.5, 0.6, 4, true, 12],
  );
  assert.is(readFileSync(join(options.target, 'weights.winnow')).toString('latin1'), judged[1]);
});

test('where training never helped, the result is the model that it began with', async () => {
  let calls = 0;
  const options = runOf({ validate: async () => -calls++, validateEvery: 4, patience: 1 });
  const { bestStep } = await train(tinyExamples(), options);
  assert.is(bestStep, 0);
  assert.is(openModel(options.target).hash, openModel(model).hash);
});

test('an aborted run rejects with the reason and goes on later; another run is refused', async () => {
  const checkpointFolder = tempFolder();
  const controller = new AbortController();
  const onStep = ({ phase, step }: TrainingProgress) => {
    if (phase === 'steps' && step === 7) controller.abort(new Error('enough'));
  };
  const options = runOf({ checkpointFolder });
  const aborted = train(tinyExamples(), { ...options, signal: controller.signal, onStep });
  assert.is(await aborted.catch(({ message }) => message), 'enough');
  assert.not(existsSync(options.target));
  const other = { ...options, learningRate: 1e-5 };
  assert.match(await codeOf(() => train(tinyExamples(), other)), /^WINNOW_TRAINING_MISMATCH/);
  const fewer = tinyExamples().slice(1);
  assert.match(await codeOf(() => train(fewer, options)), /^WINNOW_TRAINING_MISMATCH/);
  const result = await train(tinyExamples(), options);
  assert.is(result.resumedFrom, 7);
  const whole = await train(tinyExamples(), runOf({}));
  assert.equal(result.losses, whole.losses);
});

test('bad examples and options are named', async () => {
  const examples = tinyExamples();
  const large = twoOutputFolder(6);
  const cases: readonly (readonly [string, () => Promise<unknown>])[] = [
    ['WINNOW_BAD_ARGUMENT examples', () => train([], runOf({}))],
    ['WINNOW_BAD_ARGUMENT examples[1]', () => train([examples[0]!, { query: 'a', passages: [] }], runOf({}))],
    [
      'WINNOW_BAD_ARGUMENT examples[0]',
      () => train([{ query: 'a', passages: ['b'], targets: [Number.NaN] }], runOf({})),
    ],
    ['WINNOW_BAD_ARGUMENT steps', () => train(examples, runOf({ steps: 0 }))],
    ['WINNOW_BAD_ARGUMENT learningRate', () => train(examples, runOf({ learningRate: -1 }))],
    ['WINNOW_BAD_ARGUMENT layers', () => train(examples, runOf({ scope: 'channels', layers: 9 }))],
    ['WINNOW_BAD_ARGUMENT memoryMB', () => train(examples, runOf({ modelFolder: large, memoryMB: 4 }))],
    ['WINNOW_BAD_ARGUMENT target', () => train(examples, runOf({ target: model }))],
    [`WINNOW_NO_VECTORS ${model}`, () => train(examples, runOf({ stage: 'vector' }))],
  ];
  for (const [expected, action] of cases) assert.is(await codeOf(action), expected);
  const diverged = await thrownBy(() =>
    train(examples, runOf({ learningRate: 0.99, scope: 'all', flops: 1e30 })),
  );
  assert.is(diverged.code, 'WINNOW_BAD_ARGUMENT');
});

test('a target that holds anything but a model is left alone', async () => {
  const target = tempFolder();
  writeFileSync(join(target, 'thesis.txt'), 'years of work');
  assert.is(await codeOf(() => train(tinyExamples(), runOf({ target }))), `WINNOW_ALREADY_EXISTS ${target}`);
  assert.is(readFileSync(join(target, 'thesis.txt'), 'utf8'), 'years of work');
  const options = runOf({ steps: 2 });
  await train(tinyExamples(), options);
  await train(tinyExamples(), { ...options, steps: 3 });
  assert.ok(openModel(options.target));
});

test('a run leaves nothing but its result', () => {
  const left = readdirSync(folder).filter((name) => name !== 'model');
  assert.equal(left, []);
});

test.run();
