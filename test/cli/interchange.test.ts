import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { exportVectors } from '../../app/exchange/export-vectors.ts';
import { INTERCHANGE_FORMATS, SIDES } from '../../app/exchange/formats.ts';
import { importVectors } from '../../app/exchange/import-vectors.ts';
import { openIndex, type SearchIndex } from '../../app/search-index.ts';
import { encodeCiff, readCiff } from '../../corpus/ciff.ts';
import { cli } from '../helpers/cli.ts';
import { check } from '../helpers/property.ts';
import { tempFolder } from '../helpers/temp-folder.ts';

const test = suite('interchange');

const ROWS = [
  { id: 'b', contents: 'The car is red.', vector: { car: 200, red: 17, '##s': 3 } },
  { id: 'a', contents: '', vector: { car: 1, auto: 255 } },
  { id: 'c', contents: 'Nothing.', vector: {} },
];

async function imported(
  rows: readonly unknown[],
  side: 'impacts' | 'words' = 'impacts',
): Promise<SearchIndex> {
  const file = join(tempFolder(), 'vectors.jsonl');
  writeFileSync(file, rows.map((row) => JSON.stringify(row)).join('\n'));
  const engine = openIndex(tempFolder(), { create: true });
  await importVectors(engine.backend.raw, file, {
    format: 'json-vectors',
    side,
    onBadRow: (error) => {
      throw error;
    },
  });
  return engine;
}

/** What an index holds, as its JSON export says. */
async function contentsOf(engine: SearchIndex, side: 'impacts' | 'words'): Promise<Map<string, unknown>> {
  const file = join(tempFolder(), 'out.jsonl');
  await exportVectors(engine.backend.raw, file, 'json-vectors', side);
  const lines = readFileSync(file, 'utf8').split('\n').filter(Boolean);
  return new Map(
    lines.map((line) => {
      const { id, vector } = JSON.parse(line);
      return [id, new Map(Object.entries(vector).sort())];
    }),
  );
}

test('what is exported comes back the same, in both formats and on both sides, without deleted documents', async () => {
  for (const side of SIDES) {
    const engine = await imported([...ROWS, { id: 'gone', vector: { auto: 9, bike: 2 } }], side);
    await engine.delete(['gone']);
    const expected = await contentsOf(engine, side);
    assert.equal([...expected.keys()].sort(), ['a', 'b', 'c']);
    for (const format of INTERCHANGE_FORMATS) {
      const file = join(tempFolder(), `index.${format}`);
      assert.is(await exportVectors(engine.backend.raw, file, format, side), 3);
      const again = openIndex(tempFolder(), { create: true });
      const report = await importVectors(again.backend.raw, file, {
        format,
        side,
        onBadRow: (e) => assert.unreachable(String(e)),
      });
      assert.is(report.documents, 3);
      assert.equal(await contentsOf(again, side), expected, `${format}, ${side}`);
      engine.backend.forceMerge(); // BM25 counts deleted documents until they are merged away
      // Titles, and with CIFF all texts, are not exported: the index's own idf is lost.
      assert.equal(
        again
          .search('red auto cars', { mode: side === 'words' ? 'bm25' : 'sparse', idf: 'table' })
          .hits.map(({ id, score }) => [id, score]),
        engine
          .search('red auto cars', { mode: side === 'words' ? 'bm25' : 'sparse', idf: 'table' })
          .hits.map(({ id, score }) => [id, score]),
      );
      await again.close();
    }
    await engine.close();
  }
});

test('rows that cannot be used are named and cost only themselves; unknown terms are counted', async () => {
  const file = join(tempFolder(), 'vectors.jsonl');
  writeFileSync(
    file,
    [
      '{"id":"ok","vector":{"car":5,"no such token":7}}',
      '{"id":"heavy","vector":{"car":256}}',
      '{"id":"negative","vector":{"car":-1}}',
      '{"vector":{"car":1}}',
      '{"id":"none"}',
      'not json',
    ].join('\n'),
  );
  const index = join(tempFolder(), 'index');
  const result = await cli('import', file, '--index', index);
  assert.is(result.code, 1);
  assert.match(result.stdout, /1 documents imported/);
  assert.match(result.stderr, /document "heavy", term "car".*255/);
  for (const line of [3, 4, 5, 6]) assert.match(result.stderr, new RegExp(`vectors\\.jsonl:${line}`));
  assert.match(result.stderr, /5 rows skipped/);
  assert.match(result.stderr, /1 terms are not in the vocabulary of winnow-mini \(no such token\)/);
  const out = join(tempFolder(), 'out.ciff');
  assert.is((await cli('export', out, '--index', index, '--format', 'ciff')).code, 0);
  assert.ok(existsSync(out));
});

test('CIFF files that are cut short, changed or of another version are refused, never read wrongly as whole', async () => {
  const documents = [0, 1, 2].map((docId) => ({ docId, id: `d${docId}`, length: 2 }));
  const postings = ['a', 'b'].map((term) => ({
    term,
    docIds: Uint32Array.of(0, 2),
    values: Uint32Array.of(3, 300),
  }));
  const whole = Buffer.concat([...encodeCiff('test', 2, postings, documents)]);
  const file = join(tempFolder(), 'index.ciff');
  const read = async (bytes: Uint8Array) => {
    writeFileSync(file, bytes);
    const items = [];
    for await (const item of readCiff(file)) items.push(item);
    return items;
  };
  const items = await read(whole);
  assert.is(items.length, 6);
  assert.equal(items[2], { postings: postings[1] });
  await check(
    fc.asyncProperty(fc.nat(whole.length - 1), async (length) => {
      try {
        await read(whole.subarray(0, length));
        assert.unreachable(`cut at ${length}`);
      } catch (error) {
        assert.is((error as { code: string }).code, 'WINNOW_BAD_DATASET');
      }
    }),
    { numRuns: 40 },
  );
  const other = Buffer.from(whole);
  other[2] = 9; // the version, behind the length and the tag
  try {
    await read(other);
    assert.unreachable();
  } catch (error) {
    assert.match((error as Error).message, /version 9/);
  }
});

test.run();
