import { Parser } from 'htmlparser2';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { htmlReport } from '../../evaluation/html/html-report.ts';
import { linearScale, logScale } from '../../evaluation/html/svg.ts';
import type { EvaluationReport } from '../../evaluation/report.ts';

/** Elements without content. */
const EMPTY = ['meta', 'br', 'rect', 'line', 'circle', 'path', 'polyline'];
const EVIL = '<script>alert("x")</script> & \u0001 "quoted"';

const row = (dataset: string, system: string, ndcg: number, p50: number, alpha: number) => ({
  dataset,
  system,
  documents: 1000,
  queries: 2,
  'ndcg@10': ndcg,
  'recall@100': ndcg / 2,
  map: ndcg / 3,
  termsPerDocument: 100 * alpha,
  latencyUs: { p50, p95: p50 * 2, p99: p50 * 3 },
  encodeDocsPerSecond: null,
  termsPerQuery: null,
  flops: alpha,
  indexBytes: 1e6,
  buildSeconds: null,
  memoryBytes: null,
  model: null,
  settings: { alpha },
});

const report: EvaluationReport = {
  version: 1,
  created: '2026-01-02T03:04:05.000Z',
  machine: 'a machine',
  commit: null,
  settings: { metric: 'ndcg@10', baseline: 'bm25' },
  rows: ['one', 'two'].flatMap((dataset) => [
    row(dataset, 'bm25', 0.5, 900, 1),
    row(dataset, EVIL, 0.6, 90, 0.8),
    row(dataset, 'third', 0, 0, 0.5),
  ]),
  averages: [{ system: 'bm25', means: { 'ndcg@10': 0.5, 'recall@100': 0.25, map: 0.17 } }],
  comparisons: [
    {
      dataset: 'one',
      metric: 'ndcg@10',
      baseline: 'bm25',
      system: EVIL,
      difference: 0.1,
      queries: 2,
      wins: 1,
      losses: 1,
      ties: 0,
      pRandomisation: 0.01,
      pStudent: 0.00001,
      // JSON has no infinity: a report read back holds null here.
      interval95: [null, null] as unknown as [number, number],
      pHolm: 0.02,
    },
  ],
  queries: [
    {
      dataset: 'one',
      id: 'q1',
      text: EVIL,
      values: { bm25: 0.2, [EVIL]: 0.9 },
      shownAs: 'gain',
      hits: { bm25: [{ id: EVIL, score: 1.5, grade: 2, snippet: EVIL, explanation: EVIL }], [EVIL]: [] },
      missed: [{ id: 'd9', grade: 1, snippet: EVIL }],
    },
    { dataset: 'one', id: 'q2', text: 'plain', values: { bm25: 0.5, [EVIL]: 0.5 } },
  ],
};

test('the page has no script, loads nothing, escapes every text and closes every element', () => {
  const html = htmlReport(report, EVIL);
  const open: string[] = [];
  const texts: string[] = [];
  const parser = new Parser(
    {
      onopentagname: (name) => assert.not.equal(name, 'script'),
      onopentag(name, attributes) {
        if (!EMPTY.includes(name)) open.push(name);
        for (const key of ['src', 'srcset', 'onclick']) assert.not(key in attributes, key);
        if ('href' in attributes) assert.match(attributes.href!, /^#/);
      },
      ontext: (text) => texts.push(text),
      onclosetag(name, implied) {
        if (EMPTY.includes(name)) return;
        assert.not(implied, `${name} is closed`);
        assert.is(open.pop(), name);
      },
    },
    { xmlMode: false },
  );
  parser.write(html);
  parser.end();
  assert.equal(open, []);
  assert.not.match(html, /url\(|@import/);
  assert.not.match(html, /NaN|Infinity|undefined|null/);
  assert.ok(texts.join('').includes('<script>alert("x")</script> & \ufffd "quoted"'));
});

test('sections without data are left out', () => {
  const html = htmlReport({ ...report, comparisons: [], queries: [], rows: report.rows.slice(0, 1) });
  assert.not.match(html, /id="tests"|id="queries"|id="cost"|id="settings"/);
  assert.match(html, /id="results"/);
});

test('scales keep their values inside the picture and tick at round numbers', () => {
  const linear = linearScale([0.31, 0.34], 50, 300);
  assert.ok(linear(0.31) > 50 && linear(0.34) < 300);
  assert.equal(
    linear.ticks.map(({ label }) => label),
    ['0.31', '0.315', '0.32', '0.325', '0.33', '0.335', '0.34'].filter((_, i) => i % 2 === 0),
  );
  const same = linearScale([3], 0, 100);
  assert.ok(Math.abs(same(3) - 50) < 1e-9);
  const log = logScale([10, 1000], 0, 100);
  assert.ok(log(10) > 0 && log(1000) < 100);
  assert.ok(log.ticks.some(({ label }) => label === '100'));
});

test.run();
