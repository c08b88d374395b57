import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'csv-parse/sync';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { WinnowError } from '../../errors.ts';
import { openDataset } from '../../evaluation/dataset.ts';
import { evaluate, evaluateSystem } from '../../evaluation/evaluate.ts';
import { percentile } from '../../evaluation/latency.ts';
import { findRegressions, formatRegressions, readReport } from '../../evaluation/regression.ts';
import { buildReport } from '../../evaluation/report.ts';
import {
  formatBytes,
  formatMicros,
  resultCsv,
  resultRow,
  resultTable,
} from '../../evaluation/result-table.ts';
import { type EvaluatedSystem, flops, type SystemFactory } from '../../evaluation/system.ts';
import { trecRunSystem } from '../../evaluation/systems/trec-run.ts';
import { writeTrecRun } from '../../evaluation/trec.ts';

const evaluation = suite('evaluate');
let folder: string;
evaluation.before(() => {
  folder = mkdtempSync(join(tmpdir(), 'winnow-eval-'));
  for (const name of ['one', 'two']) {
    mkdirSync(join(folder, name, 'qrels'), { recursive: true });
    const rows = ['q1', 'd1', 'd2', 'd3'].map((id) =>
      // The first query is a document of the collection itself, as in ArguAna.
      JSON.stringify({ _id: id, title: `T ${id}`, text: id === 'q1' ? 'First!' : `text of ${id}` }),
    );
    writeFileSync(join(folder, name, 'corpus.jsonl'), rows.join('\n'));
    writeFileSync(
      join(folder, name, 'queries.jsonl'),
      '{"_id":"q1","text":"first"}\n{"_id":"q2","text":"second"}\n{"_id":"q3","text":"unjudged"}\n',
    );
    writeFileSync(
      join(folder, name, 'qrels', 'test.tsv'),
      'query-id\tcorpus-id\tscore\nq1\td1\t2\nq2\td2\t1\nq2\td3\t0\n',
    );
  }
});
evaluation.after(() => rmSync(folder, { recursive: true }));

/** Answers every query with the same documents. */
function fixedSystem(
  name: string,
  order: readonly string[],
): SystemFactory & { opened: number; closed: number } {
  const counts = {
    name,
    opened: 0,
    closed: 0,
    async open(): Promise<EvaluatedSystem> {
      counts.opened++;
      return {
        name,
        search: (_query, k) => order.slice(0, k).map((id, i) => ({ id, score: order.length - i })),
        describe: () => ({
          documents: 4,
          termsPerDocument: 12.345,
          indexBytes: 5_100_000,
          settings: { mode: 'x,"y"' },
        }),
        explain: (_query, id) => `because of ${id}`,
        close: () => {
          counts.closed++;
        },
      };
    },
  };
  return counts;
}

evaluation(
  'a hit with the id of its query counts unless the query is that document, or by option',
  async () => {
    // Queries and documents are both numbered: 1 is another text, 2 is the query itself.
    const set = join(folder, 'numbered');
    mkdirSync(join(set, 'qrels'), { recursive: true });
    writeFileSync(
      join(set, 'corpus.jsonl'),
      '{"_id":1,"text":"walrus swims in cold water"}\n{"_id":2,"title":"Pelican","text":"coast"}\n{"_id":3,"text":"x"}\n',
    );
    writeFileSync(
      join(set, 'queries.jsonl'),
      '{"_id":1,"text":"walrus"}\n{"_id":2,"text":"pelican:  Coast"}\n',
    );
    writeFileSync(join(set, 'qrels', 'test.tsv'), 'query-id\tcorpus-id\tscore\n1\t1\t1\n2\t2\t1\n2\t3\t1\n');
    const dataset = await openDataset(set);
    const measure = async (identicalIds?: 'same-text' | 'always' | 'never') => {
      const system = await fixedSystem('fixed', ['1', '2', '3']).open(dataset);
      const { dropped, perQuery, run } = await evaluateSystem(dataset, system, {
        passes: 0,
        ...(identicalIds ? { identicalIds } : {}),
      });
      return [dropped, perQuery.get('mrr@10')!.get('1'), run.get('2')!.map(({ id }) => id)];
    };
    assert.equal(await measure(), [{ hits: 1, judged: 1 }, 1, ['1', '3']]);
    assert.equal(await measure('never'), [{ hits: 0, judged: 0 }, 1, ['1', '2', '3']]);
    assert.equal(await measure('always'), [{ hits: 2, judged: 2 }, 0, ['1', '3']]);
  },
);

evaluation(
  'a system is measured, the document that is the query dropped, and the row has the promised keys',
  async () => {
    const dataset = await openDataset(join(folder, 'one'));
    assert.is(dataset.unjudgedQueries, 1);
    const system = await fixedSystem('fixed', ['q1', 'd1', 'd2']).open(dataset);
    const result = await evaluateSystem(dataset, system, { passes: 2, metrics: ['p@1'] });
    const row = resultRow(result);
    // q1 finds d1 first once its own id is gone; q2 finds d2 third.
    assert.is(row['mrr@10'], Number(((1 + 1 / 3) / 2).toFixed(6)));
    assert.is(row['p@1'], 0.5);
    assert.is(row['recall@100'], 1);
    assert.is(result.latencyUs!.samples, 4);
    const keys =
      'dataset system documents queries ndcg@10 recall@100 mrr@10 map termsPerDocument latencyUs encodeDocsPerSecond';
    for (const key of keys.split(' ')) assert.ok(key in row, key);
    assert.equal(Object.keys(row.latencyUs!), ['p50', 'p95', 'p99']);
    assert.is(row.encodeDocsPerSecond, null);
  },
);

evaluation('several data sets and systems: averages, table, CSV, every system closed', async () => {
  const datasets = [await openDataset(join(folder, 'one')), await openDataset(join(folder, 'two'))];
  const good = fixedSystem('good', ['d1', 'd2']);
  const bad = fixedSystem('bad', ['d3']);
  const seen: string[] = [];
  const results = await evaluate(datasets, [good, bad], {
    passes: 1,
    onResult: ({ dataset, system }) => {
      seen.push(`${dataset}/${system}`);
    },
  });
  assert.equal(seen, ['one/good', 'one/bad', 'two/good', 'two/bad']);
  assert.equal([good.opened, good.closed, bad.closed], [2, 2, 2]);
  const table = resultTable(results, (text) => `<${text}>`);
  assert.match(table, /one\s+good\s+2\s+<0\.8155>/);
  assert.match(table, /average\s+good\s+0\.8155/);
  assert.match(table, /5\.1 MB/);
  const csv = parse(resultCsv(results), { columns: true }) as Record<string, string>[];
  assert.is(csv.length, 4);
  assert.is(csv[0]!.dataset, 'one');
  assert.is(csv[0]!.settings, '{"mode":"x,\\"y\\""}');
});

evaluation('two systems of one name are refused, and a bad option by its name', async () => {
  const dataset = await openDataset(join(folder, 'one'));
  const twice = [fixedSystem('same', ['d1']), fixedSystem('same', ['d2'])];
  for (const attempt of [
    evaluate([dataset], twice),
    evaluate([dataset], [twice[0]!], { k: 0 }),
    evaluate([dataset], [twice[0]!], { metrics: ['f1' as never] }),
  ])
    try {
      await attempt;
      assert.unreachable('expected an error');
    } catch (error) {
      assert.instance(error, WinnowError);
      assert.is((error as WinnowError).code, 'WINNOW_BAD_ARGUMENT');
    }
});

evaluation('an imported run is a system without timings; topics and qrels can be files', async () => {
  const run = join(folder, 'one.run');
  await writeTrecRun(
    run,
    new Map([
      [
        '1',
        [
          { id: 'd2', score: 3 },
          { id: 'd1', score: 2 },
        ],
      ],
    ]),
    't',
  );
  writeFileSync(join(folder, 'topics.txt'), '<top>\n<num> Number: 1\n<title> wing\nlift\n<desc> x\n</top>\n');
  writeFileSync(join(folder, 'judged.qrels'), '1 0 d1 1\n');
  const dataset = await openDataset(join(folder, 'one', 'corpus.jsonl'), {
    topics: join(folder, 'topics.txt'),
    qrels: join(folder, 'judged.qrels'),
    name: 'one',
  });
  assert.equal(dataset.queries, [{ id: '1', text: 'wing lift' }]);
  const [result] = await evaluate([dataset], [trecRunSystem('imported', join(folder, '{dataset}.run'))]);
  assert.is(result!.latencyUs, undefined);
  assert.is(result!.means.get('mrr@10'), 0.5);
});

evaluation('a report holds tests, texts and explanations, survives JSON, and finds regressions', async () => {
  const dataset = await openDataset(join(folder, 'one'));
  const [good, bad] = [fixedSystem('good', ['d1', 'd2']), fixedSystem('bad', ['d3'])];
  const results = await evaluate([dataset], [bad, good], { passes: 0 });
  const report = await buildReport(results, [dataset], { factories: [bad, good], commit: 'abc' });
  assert.equal([good.opened, good.closed], [2, 2]);
  const [comparison] = report.comparisons;
  assert.is(comparison!.system, 'good');
  assert.equal([comparison!.wins, comparison!.losses], [2, 0]);
  const detail = report.queries.find(({ id }) => id === 'q1')!;
  assert.is(detail.hits!.good![0]!.snippet, 'T d1. text of d1');
  assert.is(detail.hits!.good![0]!.explanation, 'because of d1');
  assert.is(detail.hits!.good![0]!.grade, 2);
  assert.is(detail.hits!.bad![0]!.grade, null);

  const file = join(folder, 'report.json');
  writeFileSync(file, JSON.stringify(report));
  const stored = await readReport(file);
  assert.equal(findRegressions(stored, report), []);
  const worse = { rows: report.rows.map((row) => ({ ...row, map: row.map - 0.01 })) };
  const found = findRegressions(stored, worse);
  assert.equal(
    found.map(({ system, figure }) => `${system} ${figure}`),
    ['bad map', 'good map'],
  );
  assert.equal(findRegressions(stored, worse, { tolerance: 0.02 }), []);
  assert.match(formatRegressions(findRegressions(stored, { rows: [] })), /now missing/);
  writeFileSync(file, '{"version":99}');
  try {
    await readReport(file);
    assert.unreachable('expected an error');
  } catch (error) {
    assert.is((error as WinnowError).code, 'WINNOW_BAD_DATASET');
  }
});

evaluation(
  'figures are printed for people, percentiles are nearest-rank, FLOPS counts expected postings',
  () => {
    assert.is(percentile([1, 2, 3, 4], 50), 2);
    assert.is(percentile([1, 2, 3, 4], 99), 4);
    assert.equal(
      ['999 B', '1.0 kB', '23 MB'],
      [formatBytes(999), formatBytes(1000), formatBytes(23_400_000)],
    );
    assert.equal(['8.3 us', '840 us', '1.2 ms'], [formatMicros(8.31), formatMicros(840), formatMicros(1234)]);
    // Two queries over 10 documents: (4 + 6) / 10 and 5 / 10 postings per document.
    const queries = [
      { termIds: [0, 1], documentFrequencies: [4, 6] },
      { termIds: [2], documentFrequencies: [5] },
    ];
    assert.is(flops(queries, 10), 0.75);
  },
);

evaluation.run();
