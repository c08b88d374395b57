import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { RunState } from '../../app/training/run-state.ts';
import { openModel } from '../../encoder/model.ts';
import { cli, startCli } from '../helpers/cli.ts';
import { crossEncoderFolder } from '../helpers/cross-encoder-folder.ts';
import { tempFolder } from '../helpers/temp-folder.ts';
import { trainingCorpus, wordModel } from '../helpers/training-corpus.ts';

const test = suite('winnow train');
const docs = trainingCorpus(60);
const [model, reranker] = [wordModel(), crossEncoderFolder(1)];
const SMALL = [
  '--queries',
  '60',
  '--rerank-depth',
  '4',
  '--measure-on',
  '60',
  '--threads',
  '1',
  '--minutes',
  '2',
];
const command = (out: string, ...more: string[]): string[] => [
  'train',
  docs,
  '--out',
  out,
  '--model',
  model,
  '--reranker',
  reranker,
  ...SMALL,
  ...more,
];

test('trains with the real trainer; exit code, JSON, page and target say the same', async () => {
  const out = join(tempFolder(), 'mine');
  const { code, stdout, stderr } = await cli(...command(out, '--json'));
  const report = JSON.parse(stdout);
  assert.is(code, report.replaced ? 0 : 3, stderr);
  assert.is(report.replaced, report.verdict === 'helped');
  assert.is(existsSync(out), report.replaced);
  const { steps, bestStep, losses, stoppedEarly } = report.training;
  // It ends before the last step where three validations in a row were no better.
  assert.ok(steps >= 20 || (stoppedEarly && steps > bestStep), JSON.stringify(report.training));
  assert.is(losses.length, steps);
  assert.ok(losses.every(Number.isFinite));
  const html = readFileSync(`${out}.html`, 'utf8');
  assert.match(html, /Did it help\?/);
  assert.match(html, /control set/);
  if (!report.replaced) {
    const forced = await cli('train', '--resume', '--force', '--out', out);
    assert.is(forced.code, 0, forced.stderr);
    assert.match(forced.stdout, `the new model is at ${out}`);
  }
  assert.is(openModel(out).config.hidden_size, openModel(model).config.hidden_size);
  assert.not(existsSync(RunState.folderOf(out)));
});

test('Ctrl-C stops with what to type, and that goes on', async () => {
  const out = join(tempFolder(), 'mine');
  const child = startCli(...command(out));
  let stderr = '';
  child.stderr!.on('data', (chunk) => {
    stderr += chunk;
  });
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  const labels = join(RunState.folderOf(out), 'labels.jsonl');
  const deadline = Date.now() + 120_000;
  while (!existsSync(labels) && Date.now() < deadline && child.exitCode === null)
    await new Promise((resolve) => setTimeout(resolve, 5));
  child.kill('SIGINT');
  assert.is(await ended, 130, stderr);
  const hint = /go on with winnow (train --resume --out .+)/.exec(stderr)?.[1];
  assert.ok(hint, stderr);
  const again = await cli(...command(out));
  assert.is(again.code, 1);
  assert.match(again.stderr, /WINNOW_ALREADY_EXISTS .*--resume/);
  const resumed = await cli(...hint.split(' '), '--force');
  assert.is(resumed.code, 0, resumed.stderr);
  assert.match(resumed.stdout, /nDCG@10/);
  assert.ok(openModel(out).hash !== openModel(model).hash || /chance explains/.test(resumed.stdout));
});

test('a model from scratch learns the words of its documents', async () => {
  const out = join(tempFolder(), 'scratch');
  const { code, stdout, stderr } = await cli(
    ...['train', docs, '--out', out, '--from-scratch', '--reranker', reranker, ...SMALL, '--force', '--json'],
  );
  assert.is(code, 0, stderr);
  const report = JSON.parse(stdout);
  assert.equal([report.comparedWith, report.start, report.input.scope], ['BM25', 'a new model', 'all']);
  assert.ok(report.heldOut.after > 0.3, `${report.heldOut.after}`);
  const { config } = openModel(out);
  assert.equal([config.num_hidden_layers, config.hidden_size], [2, 128]);
});

test('options that contradict each other, or name nothing to learn from, are refused at once', async () => {
  const pairs = join(tempFolder(), 'pairs.jsonl');
  writeFileSync(pairs, '{"query": "only a query"}\n');
  const out = join(tempFolder(), 'mine');
  for (const [options, message] of [
    [[], /WINNOW_BAD_ARGUMENT docs: .*nothing to train on/],
    [[docs, '--index', 'index'], /WINNOW_BAD_ARGUMENT --index/],
    [[docs, '--pairs', pairs, '--clicks', pairs], /WINNOW_BAD_ARGUMENT --clicks/],
    [[docs, '--from-scratch', '--stage', 'rerank'], /WINNOW_BAD_ARGUMENT --from-scratch/],
    [[docs, '--pairs', pairs], /WINNOW_BAD_ROW .*no row can be used/],
  ] as const) {
    const { code, stderr } = await cli('train', ...options, '--out', out);
    assert.is(code, 1);
    assert.match(stderr, message);
  }
});

test.run();
