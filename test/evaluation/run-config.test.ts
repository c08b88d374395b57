import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readEvaluationConfig } from '../../evaluation/evaluation-config.ts';
import { runFileName, writeOutputs } from '../../evaluation/outputs.ts';
import { findRegressions, readReport } from '../../evaluation/regression.ts';
import { runEvaluationConfig } from '../../evaluation/run-config.ts';
import { readTrecRun } from '../../evaluation/trec.ts';

const config = suite('evaluation config');
let folder: string;
config.before(() => {
  folder = mkdtempSync(join(tmpdir(), 'winnow-config-'));
  mkdirSync(join(folder, 'set', 'qrels'), { recursive: true });
  writeFileSync(
    join(folder, 'set', 'corpus.jsonl'),
    '{"_id":"d1","text":"a cat"}\n{"_id":"d2","text":"a dog"}\n{"_id":"d3","text":"a cat and a dog"}\n',
  );
  writeFileSync(
    join(folder, 'set', 'queries.jsonl'),
    '{"_id":"q1","text":"cat"}\n{"_id":"q2","text":"dog"}\n',
  );
  writeFileSync(join(folder, 'set', 'qrels', 'test.tsv'), 'q1\td1\t1\nq2\td2\t1\n');
  writeFileSync(join(folder, 'other.run'), '# a comment\nq1 Q0 d1 1 2 other\nq2 Q0 d3 1 2 other\n');
  writeFileSync(
    join(folder, 'eval.yaml'),
    'datasets: [set]\nbaseline: other\nmetric: p@1\nk: 10\npasses: 1\nsystems:\n  - { kind: run, name: other, file: other.run }\n  - { kind: contains, reverse: [false, true] }\n',
  );
});
config.after(() => rmSync(folder, { recursive: true }));

config('a config file is carried out and every output written and readable', async () => {
  const documents = [
    ['d1', 'a cat'],
    ['d2', 'a dog'],
    ['d3', 'a cat and a dog'],
  ] as const;
  const { results, report } = await runEvaluationConfig(
    await readEvaluationConfig(join(folder, 'eval.yaml')),
    {
      commit: 'abc',
      factoryFor: ({ name, settings }) => ({
        name,
        open: async () => ({
          name,
          search: ({ text }, k) => {
            const found = documents
              .filter(([, body]) => body.includes(text))
              .map(([id]) => ({ id, score: 1 }));
            return (settings.reverse ? found.reverse() : found).slice(0, k);
          },
          explain: (query, id) => `${query.text} in ${id}`,
          describe: () => ({ documents: 3, settings }),
        }),
      }),
    },
  );
  assert.equal(
    results.map(({ system, means }) => [system, means.get('p@1')]),
    [
      ['other', 0.5],
      ['contains reverse=false', 1],
      // d3 is put first although both score 1: the order that a system gives is measured.
      ['contains reverse=true', 0],
    ],
  );
  assert.is(report.queries[0]!.hits!['contains reverse=false']![0]!.explanation, 'cat in d1');

  const out = join(folder, 'out');
  const files = {
    json: join(out, 'report.json'),
    csv: join(out, 'table.csv'),
    html: join(out, 'pages', 'report.html'),
    markdown: join(out, 'results.md'),
    runs: join(out, 'runs'),
  };
  await writeOutputs(report, results, files, { title: 'Tiny' });
  assert.equal(findRegressions(await readReport(files.json), report), []);
  assert.match(readFileSync(files.html, 'utf8'), /<title>Tiny<\/title>/);
  assert.match(readFileSync(files.markdown, 'utf8'), /^# Tiny/);
  assert.match(readFileSync(files.csv, 'utf8'), /^dataset,system,/);
  assert.equal(readdirSync(files.runs).sort(), [
    'set.contains_reverse=false.trec',
    'set.contains_reverse=false.trec.meta.json',
    'set.contains_reverse=true.trec',
    'set.contains_reverse=true.trec.meta.json',
    'set.other.trec',
    'set.other.trec.meta.json',
  ]);
  const run = await readTrecRun(join(files.runs, 'set.contains_reverse=true.trec'));
  assert.equal(
    run.get('q1')!.map(({ id }) => id),
    ['d3', 'd1'],
  );
  const meta = JSON.parse(readFileSync(join(files.runs, 'set.other.trec.meta.json'), 'utf8'));
  assert.is(meta.commit, 'abc');
});

config('names of run files hold no path', () => {
  assert.is(runFileName({ dataset: '../x', system: 'a/b c' }), '__x.a_b_c');
});

config.run();
