import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { WinnowError } from '../../errors.ts';
import { parseEvaluationConfig } from '../../evaluation/evaluation-config.ts';

const FILE = '/configs/eval.yaml';

test('lists of settings multiply, paths start at the config file, names say what varies', () => {
  const config = parseEvaluationConfig(
    `
title: Grid
datasets:
  - ../data/scifact
  - { path: ../data/nfcorpus, split: dev, name: nf-dev }
  - { path: docs.jsonl, topics: topics.txt, qrels: qrels.txt }
metrics: [p@10]
baseline: bm25
k: 100
systems:
  - bm25
  - { kind: sparse, precision: int8, alpha: [1, 0.9], terms: [100, 200] }
  - { kind: run, name: splade, file: "runs/{dataset}.tsv" }
`,
    FILE,
  );
  assert.equal(config.datasets, [
    { path: '/data/scifact' },
    { path: '/data/nfcorpus', split: 'dev', name: 'nf-dev' },
    { path: '/configs/docs.jsonl', topics: '/configs/topics.txt', qrels: '/configs/qrels.txt' },
  ]);
  assert.equal(
    config.systems.map(({ name }) => name),
    [
      'bm25',
      'sparse alpha=1 terms=100',
      'sparse alpha=1 terms=200',
      'sparse alpha=0.9 terms=100',
      'sparse alpha=0.9 terms=200',
      'splade',
    ],
  );
  assert.equal(config.systems[4], {
    name: 'sparse alpha=0.9 terms=200',
    kind: 'sparse',
    settings: { precision: 'int8', alpha: 0.9, terms: 200 },
  });
  assert.equal([config.title, config.baseline, config.k, config.metrics], ['Grid', 'bm25', 100, ['p@10']]);
});

test('data sets are looked for in the folder that the config or the caller names', () => {
  const text =
    'data: ../sets\ndatasets: [a, {path: b, topics: t, qrels: q}]\nsystems: [{kind: run, file: r.trec}]\n';
  assert.equal(parseEvaluationConfig(text, FILE).datasets, [
    { path: '/sets/a' },
    { path: '/sets/b', topics: '/sets/t', qrels: '/sets/q' },
  ]);
  const elsewhere = parseEvaluationConfig(text, FILE, { dataFolder: '/elsewhere' });
  assert.equal(elsewhere.datasets[0], { path: '/elsewhere/a' });
  assert.is(elsewhere.systems[0]!.settings.file, '/configs/r.trec');
});

test('what is wrong in a config is named by its key', () => {
  const good = 'datasets: [a]\nsystems: [bm25]\n';
  const bad: [string, RegExp][] = [
    ['datasets: [', /eval\.yaml: YAML/],
    ['- 1', /the file: the file must be an object, not a list/],
    ['systems: [bm25]', /datasets: datasets is missing/],
    ['datasets: []\nsystems: [bm25]', /datasets: datasets must be a list with at least one entry/],
    [`${good}speed: 3`, /speed: speed is not an option \(options are title/],
    [
      'datasets: [{path: a, dir: b}]\nsystems: [bm25]',
      /datasets\[0\]\.dir: .* is not an option \(options are path/,
    ],
    ['datasets: [{split: dev}]\nsystems: [bm25]', /datasets\[0\]\.path: .* is missing/],
    ['datasets: [a]\nsystems: [{alpha: 1}]', /systems\[0\]\.kind: .* must be a string, not undefined/],
    ['datasets: [a]\nsystems: [bm25, bm25]', /systems hold two that are called "bm25"/],
    ['datasets: [a]\nsystems: [{kind: s, x: {y: 1}}]', /systems\[0\]\.x: .* must be text, a number/],
    [`${good}baseline: dense`, /names "dense", but no system is called so \(the systems are bm25\)/],
    [`${good}metrics: [bleu]`, /"bleu", which is no measure/],
    [`${good}data: 3`, /data: data must be a string, not 3/],
    [`${good}k: ten`, /k: k must be a whole number from 1 to 10000, not "ten"/],
    [
      `datasets: [a]\nsystems: [{kind: s, x: [${[...Array(15).keys()]}], y: [${[...Array(15).keys()]}]}]`,
      /more than 200 systems/,
    ],
  ];
  for (const [text, message] of bad)
    try {
      parseEvaluationConfig(text, FILE);
      assert.unreachable(text);
    } catch (error) {
      assert.instance(error, WinnowError);
      assert.is((error as WinnowError).code, 'WINNOW_BAD_ARGUMENT');
      assert.match(String(error), message);
    }
});

test.run();
