import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readQrels } from '../../corpus/beir.ts';
import { WinnowError } from '../../errors.ts';
import { rank } from '../../evaluation/metrics.ts';
import { formatTrecRun, readTrecRun, writeTrecQrels, writeTrecRun } from '../../evaluation/trec.ts';

const trec = suite('TREC files');
let folder: string;
trec.before(() => {
  folder = mkdtempSync(join(tmpdir(), 'winnow-trec-'));
});
trec.after(() => rmSync(folder, { recursive: true }));

const write = (name: string, text: string) => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};

async function failure(promise: Promise<unknown>): Promise<WinnowError> {
  try {
    await promise;
  } catch (error) {
    assert.instance(error, WinnowError);
    return error as WinnowError;
  }
  throw new Error('expected an error');
}

trec('runs of six and of four columns are read, the rank is ignored', async () => {
  const six = await readTrecRun(
    write('six', 'q1 Q0 d1 2 1.5 tag\nq1 Q0 d2 1 2.5e0 tag\n\nq2\tQ0\td1\t1\t-3\ttag'),
  );
  assert.equal(six.get('q1'), [
    { id: 'd1', score: 1.5 },
    { id: 'd2', score: 2.5 },
  ]);
  assert.equal(six.get('q2'), [{ id: 'd1', score: -3 }]);
  const four = await readTrecRun(write('four', 'q1\td1\t1\t7\n'));
  assert.equal(four.get('q1'), [{ id: 'd1', score: 7 }]);
});

trec('malformed runs are refused with file and line', async () => {
  const bad: [string, RegExp][] = [
    ['q1 Q0 d1 1 2 t\nq1 d1', /2 columns/],
    ['q1 Q0 d1 1 high t', /"high" is not a finite number/],
    ['q1 Q0 d1 1 2 t\nq1 Q0 d1 2 1 t', /already retrieved/],
    ['', /no line/],
  ];
  for (const [text, message] of bad) {
    const error = await failure(readTrecRun(write('bad.run', text)));
    assert.is(error.code, 'WINNOW_BAD_DATASET');
    assert.match(error.message, message);
    assert.match(error.place!, /bad\.run/);
  }
  assert.match((await failure(readTrecRun(write('bad.run', 'q1 Q0 d1 1 2 t\nx')))).place!, /bad\.run:2$/);
  assert.is((await failure(readTrecRun(join(folder, 'absent')))).code, 'WINNOW_NOT_FOUND');
});

trec('a written run reads back in the order that was meant, ties included', async () => {
  const score = fc.oneof(fc.double({ noNaN: true, min: -1e6, max: 1e6 }), fc.integer({ min: 0, max: 2 }));
  await fc.assert(
    fc.asyncProperty(fc.array(score, { minLength: 1, maxLength: 30 }), async (scores) => {
      const hits = scores
        .sort((a, b) => b - a)
        .map((value, index) => ({ id: `d${String(index).padStart(3, '0')}`, score: value }));
      const file = join(folder, 'round.run');
      await writeTrecRun(file, new Map([['q', hits]]), 'my tag');
      const back = (await readTrecRun(file)).get('q')!;
      assert.equal(
        rank(back).map(({ id }) => id),
        hits.map(({ id }) => id),
      );
      for (const [i, { score: read }] of back.entries()) {
        const meant = hits[i]!.score;
        assert.ok(Math.abs(read - meant) <= Math.abs(meant) * 1e-4 + 1e-40);
      }
    }),
    { numRuns: 60, verbose: 1 },
  );
});

trec('the line has six columns and a tag without blanks', () => {
  const [line] = [...formatTrecRun(new Map([['q', [{ id: 'd', score: 0.1 }]]]), 'sparse int8')];
  assert.is(line, 'q Q0 d 1 0.100000 sparse_int8\n');
});

trec('judgements round trip', async () => {
  const qrels = new Map([
    [
      'q1',
      new Map([
        ['a', 2],
        ['b', 0],
      ]),
    ],
    ['q2', new Map([['c', -1]])],
  ]);
  const file = join(folder, 'out.qrels');
  await writeTrecQrels(file, qrels);
  assert.is(readFileSync(file, 'utf8'), 'q1 0 a 2\nq1 0 b 0\nq2 0 c -1\n');
  assert.equal(await readQrels(file), qrels);
});

trec(
  'an id that a column cannot hold is refused with the file, and nothing is left of it; other blanks pass',
  async () => {
    const file = join(folder, 'blank.run');
    for (const [query, id] of [
      ['q 1', 'd'],
      ['q', 'my file.md'],
      ['q', 'a\tb'],
      ['q', 'a\nb'],
      ['#', 'd'],
    ] as const) {
      const error = await failure(writeTrecRun(file, new Map([[query, [{ id, score: 1 }]]]), 't'));
      assert.is(error.code, 'WINNOW_BAD_DATASET');
      assert.is(error.place, file);
      assert.is(
        (await failure(writeTrecQrels(file, new Map([[query, new Map([[id, 1]])]])))).code,
        'WINNOW_BAD_DATASET',
      );
      assert.not(existsSync(file) || existsSync(`${file}.part`));
    }
    // trec_eval separates by the blanks of ASCII only, and so do we: a no-break space is part of an id.
    await writeTrecRun(file, new Map([['q', [{ id: 'a\u00a0b', score: 1 }]]]), 't');
    assert.equal((await readTrecRun(file)).get('q'), [{ id: 'a\u00a0b', score: 1 }]);
    await writeTrecQrels(file, new Map([['q', new Map([['a\u00a0b', 1]])]]));
    assert.is((await readQrels(file)).get('q')!.get('a\u00a0b'), 1);
  },
);

trec.run();
