import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readBeirTopics, readQrels, readQueries } from '../../corpus/beir.ts';
import { WinnowError } from '../../errors.ts';

const beir = suite('BEIR topics');
let folder: string;
beir.before(() => {
  folder = mkdtempSync(join(tmpdir(), 'winnow-beir-'));
});
beir.after(() => rmSync(folder, { recursive: true }));

function write(name: string, content: string): string {
  const path = join(folder, name);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, content);
  return path;
}

async function refused(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    assert.instance(error, WinnowError);
    return String(error).replaceAll(`${folder}/`, '');
  }
  throw new Error('expected an error');
}

const HEADER = 'query-id\tcorpus-id\tscore\n';

beir('queries without judgements and judged queries without text are counted, not evaluated', async () => {
  write('set/queries.jsonl', '{"_id":"q1","text":"one"}\n{"_id":"q2","text":"two"}\n');
  write('set/qrels/test.tsv', `${HEADER}q1\td1\t2\nq1\td2\t0\nq9\td1\t1\n`);
  const topics = await readBeirTopics(`${join(folder, 'set')}/`);
  assert.is(topics.name, 'set');
  assert.equal(topics.queries, [{ id: 'q1', text: 'one' }]);
  assert.is(topics.unjudgedQueries, 1);
  assert.equal(topics.missingQueries, ['q9']);
  assert.equal(
    topics.qrels.get('q1'),
    new Map([
      ['d1', 2],
      ['d2', 0],
    ]),
  );
});

beir('judgements are read with or without a header, from TREC columns too', async () => {
  const want = new Map([['q1', new Map([['d1', 1]])]]);
  for (const text of [`${HEADER}q1\td1\t1\n`, 'q1\td1\t1', 'q1 0 d1 1\n', 'q1\td1\t1\nq1\td1\t1\n'])
    assert.equal(await readQrels(write('q.tsv', text)), want);
});

beir('malformed judgements are refused with file and line', async () => {
  const bad: [string, string][] = [
    [`${HEADER}q1\td1\n`, 'WINNOW_BAD_DATASET q.tsv:2: 2 fields'],
    [`${HEADER}q1\td1\thigh\n`, 'WINNOW_BAD_DATASET q.tsv:2: the relevance "high" is not an integer'],
    [`${HEADER}q1\td1\t0.5\n`, 'WINNOW_BAD_DATASET q.tsv:2: the relevance "0.5" is not an integer'],
    [
      `${HEADER}q1\td1\t1\nq1\td1\t2\n`,
      'WINNOW_BAD_DATASET q.tsv:3: "d1" was already judged 1 for query "q1"',
    ],
    [`${HEADER}\td1\t1\n`, 'WINNOW_BAD_DATASET q.tsv:2: an id is empty'],
    ['', 'WINNOW_BAD_DATASET q.tsv:1: there is no judgement in it'],
    [HEADER, 'WINNOW_BAD_DATASET q.tsv:1: there is no judgement in it'],
  ];
  for (const [text, message] of bad) {
    const said = await refused(readQrels(write('q.tsv', text)));
    assert.ok(said.startsWith(message), said);
  }
});

beir('malformed queries are refused with file and line', async () => {
  const bad: [string, string][] = [
    ['{"_id":"a","text":"x"}\n{oops', 'WINNOW_BAD_DATASET q.jsonl:2: not JSON'],
    ['{"text":"x"}', 'WINNOW_BAD_DATASET q.jsonl:1: a query needs an "_id"'],
    ['{"_id":"a","text":" "}', 'WINNOW_BAD_DATASET q.jsonl:1: query "a" needs a non-empty "text"'],
    [
      '{"_id":"a","text":"x"}\n{"_id":"a","text":"y"}',
      'WINNOW_BAD_DATASET q.jsonl:2: the query "a" was already given on line 1',
    ],
    ['\n', 'WINNOW_BAD_DATASET q.jsonl:1: there is no query in it'],
  ];
  for (const [text, message] of bad) {
    const said = await refused(readQueries(write('q.jsonl', text)));
    assert.ok(said.startsWith(message), said);
  }
});

beir('a missing split names the splits there are; a folder of another kind is refused', async () => {
  const said = await refused(readBeirTopics(join(folder, 'set'), 'dev'));
  assert.match(said, /WINNOW_NOT_FOUND set\/qrels: there is no split "dev" \(the splits are test\)/);
  assert.match(await refused(readBeirTopics(join(folder, 'set', 'qrels'))), /there is no queries\.jsonl/);
  write('odd/queries.jsonl', '{"_id":"x","text":"one"}\n');
  write('odd/qrels/test.tsv', 'q1\td1\t1\n');
  assert.match(await refused(readBeirTopics(join(folder, 'odd'))), /no judged query is among the queries/);
});

beir.run();
