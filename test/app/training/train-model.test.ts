import { cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openIndex } from '../../../app/search-index.ts';
import { trainingHtml } from '../../../app/training/html-report.ts';
import { RunState } from '../../../app/training/run-state.ts';
import { trainModel } from '../../../app/training/train-model.ts';
import type { TrainingInput, TrainModelOptions } from '../../../app/training/types.ts';
import { openModel } from '../../../encoder/model.ts';
import type { WinnowError } from '../../../errors.ts';
import { crossEncoderFolder } from '../../helpers/cross-encoder-folder.ts';
import { tempFolder } from '../../helpers/temp-folder.ts';
import { fakeTrainer, trainingCorpus, trainingTexts, wordModel } from '../../helpers/training-corpus.ts';
import { twoOutputFolder } from '../../helpers/two-output-folder.ts';

const test = suite('a training run');
/** Random weights, so that words must be better. */
const [bad, good, reranker] = [twoOutputFolder(1), wordModel(), crossEncoderFolder(1)];
const docs = trainingCorpus(60);

const inputOf = (more: Partial<TrainingInput> = {}): TrainingInput => ({
  docs,
  stage: 'encoder',
  scope: 'head',
  model: bad,
  reranker,
  fromScratch: false,
  trainedShare: 1,
  minutes: 10,
  queries: 60,
  rerankDepth: 6,
  measureOn: 60,
  seed: 1,
  ...more,
});
const newTarget = (): string => join(tempFolder(), 'model');
const run = (state: RunState, out: string, more: Partial<TrainModelOptions> = {}) =>
  trainModel(state, { out, threads: 0, trainer: fakeTrainer(good), ...more });

test('a model that is better on held-out queries takes the place at the target', async () => {
  const out = newTarget();
  const phases = new Set<string>();
  const report = await run(RunState.begin(out, inputOf()), out, {
    onProgress: ({ phase, fraction }) => {
      phases.add(phase);
      assert.ok(fraction >= 0 && fraction <= 1, `${phase} ${fraction}`);
    },
  });
  assert.equal([...phases], ['index', 'label', 'measure', 'train']);
  assert.is(report.verdict, 'helped');
  assert.ok(report.replaced && report.heldOut.after > report.heldOut.before);
  assert.ok(report.heldOut.test.pRandomisation < 0.05);
  assert.is(openModel(out).hash, openModel(good).hash);
  assert.not(existsSync(RunState.folderOf(out)));
  const { train, validation, test: held, labelled, dropped } = report.supervision;
  assert.is(train + validation + dropped + held, labelled);
  assert.ok(report.gained.length > 0 && report.deltas.length === held);
  assert.ok(report.control.documents > 300 && report.control.test.queries === 200);
  assert.ok(report.terms!.after > 0 && report.terms!.before > 0);
  const html = trainingHtml(report);
  for (const text of ['Training helped.', 'control set', report.gained[0]!.query.replaceAll('&', '&amp;')])
    assert.ok(html.includes(text), text);
});

test('a worse model is kept aside, the target stays, and may be forced', async () => {
  const out = newTarget();
  const first = await run(RunState.begin(out, inputOf()), out);
  assert.ok(first.replaced);
  const hash = openModel(out).hash;
  // What has to be beaten now is the model at the target.
  const worse = { trainer: fakeTrainer(twoOutputFolder(2)) };
  const report = await run(RunState.begin(out, inputOf()), out, worse);
  assert.equal([report.verdict, report.replaced, report.comparedWith], ['worse', false, out]);
  assert.is(openModel(out).hash, hash);
  assert.ok(report.lost.length > 0);
  assert.throws(
    () => RunState.begin(out, inputOf()),
    (error: WinnowError) => error.code === 'WINNOW_ALREADY_EXISTS' && /--resume/.test(error.hint!),
  );
  const again = await run(RunState.resume(out), out, {
    trainer: () => Promise.reject(new Error('trained again')),
  });
  assert.equal(again, report);
  const forced = await run(RunState.resume(out), out, { force: true });
  assert.ok(forced.replaced);
  assert.is.not(openModel(out).hash, hash);
  assert.not(existsSync(RunState.folderOf(out)));
});

test('a run that is stopped while it labels goes on and learns the same', async () => {
  const counts: number[] = [];
  const whole = newTarget();
  const wanted = await run(RunState.begin(whole, inputOf()), whole, {
    trainer: fakeTrainer(good, (count) => counts.push(count)),
  });
  const out = newTarget();
  const stop = new AbortController();
  await run(RunState.begin(out, inputOf()), out, {
    signal: stop.signal,
    onProgress: ({ phase, fraction }) => {
      if (phase === 'label' && fraction > 0.4) stop.abort(new Error('stopped'));
    },
  }).then(
    () => assert.unreachable(),
    (error) => assert.is((error as Error).message, 'stopped'),
  );
  const labels = join(RunState.folderOf(out), 'labels.jsonl');
  const done = readFileSync(labels, 'utf8');
  assert.ok(done.split('\n').length > 20);
  // As a process leaves it that was killed while it wrote.
  writeFileSync(labels, `${done}[["d1",`);
  const resumedCounts: number[] = [];
  const resumed = await run(RunState.resume(out), out, {
    trainer: fakeTrainer(good, (count) => resumedCounts.push(count)),
  });
  assert.equal(resumedCounts, counts);
  for (const key of ['supervision', 'heldOut', 'control', 'deltas'] as const)
    assert.equal(resumed[key], wanted[key], key);
});

test('pairs name documents by id or by text; what the index lacks is trained on and not measured', async () => {
  const texts = trainingTexts(60);
  const pairs = join(tempFolder(), 'pairs.jsonl');
  const rows = texts.map(({ id, title, text }, i) => ({
    query: `${text.split(' ').slice(1, 4).join(' ')} ${i}`,
    positive: i % 2 === 0 ? id : `${title} ${text}`,
    negatives: [`d${(i + 1) % 60}`],
  }));
  const lines = [...rows, { query: 'elsewhere', positive: 'a text of another collection' }].map((row) =>
    JSON.stringify(row),
  );
  writeFileSync(pairs, [...lines, '{"query": "no document"}'].join('\n'));
  const index = join(tempFolder(), 'index');
  const made = openIndex(index, { create: true, model: bad, threads: 0 });
  await made.add(texts);
  await made.close();
  const out = newTarget();
  const errors: WinnowError[] = [];
  const { docs: _, ...rest } = inputOf({ index, pairs, queries: 0 });
  const report = await run(RunState.begin(out, rest), out, { onBadRow: (error) => errors.push(error) });
  assert.equal(
    errors.map(({ code, place }) => [code, place!.replace(/.*:/, '')]),
    [['WINNOW_BAD_ROW', '62']],
  );
  const { kind, badRows, labelled, dropped } = report.supervision;
  assert.equal([kind, badRows, labelled, dropped], ['pairs', 1, 61, 0]);
  assert.is(report.heldOut.test.queries, 9);
});

test('too few documents, queries or a target that is no model end with what to do', async () => {
  const fails = async (input: TrainingInput, code: string, out = newTarget()): Promise<void> => {
    try {
      await run(RunState.begin(out, input), out);
    } catch (error) {
      assert.is((error as WinnowError).code, code, String(error));
      return;
    }
    assert.unreachable();
  };
  await fails(inputOf({ docs: trainingCorpus(10) }), 'WINNOW_EMPTY_CORPUS');
  await fails(inputOf({ queries: 12 }), 'WINNOW_EMPTY_CORPUS');
  const occupied = tempFolder();
  writeFileSync(join(occupied, 'thesis.txt'), 'precious');
  await fails(inputOf(), 'WINNOW_ALREADY_EXISTS', occupied);
  // A model with something of the user's beside it is no model alone: replacing the folder would lose that.
  cpSync(openModel().folder, occupied, { recursive: true });
  await fails(inputOf(), 'WINNOW_ALREADY_EXISTS', occupied);
  assert.is(readFileSync(join(occupied, 'thesis.txt'), 'utf8'), 'precious');
  assert.throws(
    () => RunState.resume(newTarget()),
    (error: WinnowError) => error.code === 'WINNOW_NOT_FOUND',
  );
});

test.run();
