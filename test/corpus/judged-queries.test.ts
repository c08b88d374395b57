import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type JudgedFormat, readJudgedQueries } from '../../corpus/judged-queries.ts';
import type { WinnowError } from '../../errors.ts';
import { check } from '../helpers/property.ts';
import { tempFolder } from '../helpers/temp-folder.ts';

const test = suite('judged queries');

async function read(format: JudgedFormat, ...rows: (object | string)[]) {
  const file = join(tempFolder(), 'rows.jsonl');
  writeFileSync(file, rows.map((row) => (typeof row === 'string' ? row : JSON.stringify(row))).join('\n'));
  const errors: WinnowError[] = [];
  return { ...(await readJudgedQueries(file, format, (error) => errors.push(error))), errors };
}

test('pairs take one positive or several, and join rows of one query', async () => {
  const { queries, rows, badRows } = await read(
    'pairs',
    { query: 'red fox', positive: 'd1', negatives: ['d2', 'd3'] },
    { query: 'blue whale', positive: ['A text. Of two sentences.', 'd9'] },
    '',
    { query: ' Red  FOX ', positive: 'd2' },
    { query: 'numbers', positive: 7, source: 'ignored' },
  );
  assert.is(rows, 4);
  assert.is(badRows, 0);
  assert.equal(queries, [
    { query: 'red fox', line: 1, positives: ['d1', 'd2'], negatives: ['d3'] },
    { query: 'blue whale', line: 2, positives: ['A text. Of two sentences.', 'd9'], negatives: [] },
    { query: 'numbers', line: 5, positives: ['7'], negatives: [] },
  ]);
});

test('of clicks, what was skipped above the last click is negative', async () => {
  const { queries } = await read(
    'clicks',
    { query: 'a', clicked: ['d3'], shown: ['d1', 'd2', 'd3', 'd4'] },
    { query: 'a', clicked: ['d1'] },
    { query: 'b', clicked: ['x', 'y'], shown: ['x', 'q', 'y', 'r'] },
    { query: 'c', clicked: ['gone'], shown: ['d1', 'd2'] },
  );
  assert.equal(
    queries.map(({ positives, negatives }) => ({ positives, negatives })),
    [
      { positives: ['d3', 'd1'], negatives: ['d2'] },
      { positives: ['x', 'y'], negatives: ['q'] },
      { positives: ['gone'], negatives: [] },
    ],
  );
});

test('bad rows are reported with their lines and the others are used', async () => {
  const { queries, errors, badRows } = await read(
    'pairs',
    '{"query": "cut off',
    { query: 'no document' },
    { query: '', positive: 'd1' },
    { query: 'odd', positive: { id: 'd1' } },
    '[1, 2]',
    { query: 'fine', positive: 'd1' },
  );
  assert.is(badRows, 5);
  assert.equal(
    queries.map(({ query, line }) => ({ query, line })),
    [{ query: 'fine', line: 6 }],
  );
  assert.equal(
    errors.map(({ code, place }) => `${code} ${place!.replace(/.*:/, '')}`),
    [1, 2, 3, 4, 5].map((line) => `WINNOW_BAD_ROW ${line}`),
  );
});

test('a file without a usable row is an error that shows the first problem', async () => {
  for (const rows of [[], [{ query: 'x' }]]) {
    try {
      await read('pairs', ...rows);
      assert.unreachable();
    } catch (error) {
      assert.match(String(error), /WINNOW_BAD_ROW .*no row can be used/);
    }
  }
  try {
    await readJudgedQueries(join(tempFolder(), 'none.jsonl'), 'pairs', () => {});
    assert.unreachable();
  } catch (error) {
    assert.is((error as WinnowError).code, 'WINNOW_NOT_FOUND');
  }
});

test('compressed files are read, and any mixture of good and bad rows loses no good one', async () => {
  const row = fc.record({ good: fc.boolean(), id: fc.integer({ min: 0, max: 30 }) });
  await check(
    fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 20 }), async (rows) => {
      fc.pre(rows.some(({ good }) => good));
      const file = join(tempFolder(), 'rows.jsonl.gz');
      const lines = rows.map(({ good, id }) =>
        good ? `{"query":"q${id}","positive":"d${id}"}` : `{"q":${id}`,
      );
      writeFileSync(file, gzipSync(lines.join('\n')));
      let bad = 0;
      const found = await readJudgedQueries(file, 'pairs', () => bad++);
      const wanted = new Set(rows.filter(({ good }) => good).map(({ id }) => `q${id}`));
      assert.equal(new Set(found.queries.map(({ query }) => query)), wanted);
      assert.is(bad, rows.filter(({ good }) => !good).length);
    }),
  );
});

test.run();
