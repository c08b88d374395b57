import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openIndex, type SearchIndex } from '../../app/search-index.ts';
import { phraseWords } from '../../query/text/english-analyzer.ts';
import { parseQuery } from '../../query/text/operators.ts';
import { check } from '../helpers/property.ts';
import { tempFolder } from '../helpers/temp-folder.ts';

const test = suite('operators of a query');

const read = (query: string) => {
  const { text, conditions } = parseQuery(query, 'operators');
  return [text.replace(/\s+/g, ' '), ...conditions.map(({ kind, text }) => `${kind}:${text}`)];
};

test('phrases and exclusions are read where a word could begin; all else is text', () => {
  const cases: [string, string[]][] = [
    ['dogs -cats', ['dogs', 'exclusion:cats']],
    ['"state of the art" robots', ['state of the art robots', 'phrase:state of the art']],
    ['food -"cat food"', ['food', 'exclusion:cat food']],
    ['“curly quotes” too', ['curly quotes too', 'phrase:curly quotes']],
    ['state-of-the-art co-op x-5 -40 degrees', ['state-of-the-art co-op x-5 -40 degrees']],
    ['a - b', ['a - b']],
    ['-', ['-']],
    ['"unbalanced quote', ['"unbalanced quote']],
    ['5" disk and 6" pipe', ['5" disk and 6" pipe']],
    ['npm --save "" "?!"', ['npm --save "" "?!"']],
    ['-cats', ['', 'exclusion:cats']],
    ['say "hello", please', ['say hello , please', 'phrase:hello']],
  ];
  for (const [query, expected] of cases) assert.equal(read(query), expected);
  assert.equal(parseQuery('dogs -cats "a b"', 'plain'), { text: 'dogs -cats "a b"', conditions: [] });
});

test('phrases and exclusions fold letters as the index does', async () => {
  const index = await indexOf([{ text: 'the ﬁnance of cafe\u0301 noir' }, { text: 'noir café, no finance' }]);
  const ids = (query: string) => index.search(query, { mode: 'bm25' }).hits.map(({ id }) => id);
  assert.equal(ids('"café noir"'), ['d0']);
  assert.equal(ids('"finance of"'), ['d0']);
  assert.equal(ids('noir -"café noir"'), ['d1']);
  await index.close();
});

const TEXTS = ['dogs', 'cats', 'the', 'of', 'food', 'art', 'running'];

/** Open index of documents with the given titles and texts. */
async function indexOf(documents: readonly { title?: string; text: string }[]): Promise<SearchIndex> {
  const index = openIndex(tempFolder(), { create: true, lexicalOnly: true, threads: 0 });
  const half = Math.ceil(documents.length / 2);
  for (const [from, to] of [
    [0, half],
    [half, documents.length],
  ] as const)
    await index.add(documents.slice(from, to).map((document, i) => ({ ...document, id: `d${from + i}` })));
  return index;
}

test('hits are those of the plain query that a naive reading of the texts lets through', async () => {
  const text = fc
    .array(fc.constantFrom(...TEXTS), { minLength: 1, maxLength: 12 })
    .map((words) => words.join(' '));
  const operand = fc
    .array(fc.constantFrom(...TEXTS), { minLength: 1, maxLength: 3 })
    .map((words) => words.join(' '));
  await check(
    fc.asyncProperty(
      fc.array(fc.record({ title: text, text }), { minLength: 1, maxLength: 25 }),
      fc.array(fc.record({ exclude: fc.boolean(), operand }), { minLength: 1, maxLength: 3 }),
      async (documents, operators) => {
        const index = await indexOf(documents);
        const base = 'dogs cats food art running';
        const query = `${base} ${operators.map(({ exclude, operand }) => `${exclude ? '-' : ''}"${operand}"`).join(' ')}`;
        const has = ({ title, text }: { title: string; text: string }, operand: string) =>
          [title, text].some((part) =>
            ` ${phraseWords(part).join(' ')} `.includes(` ${phraseWords(operand).join(' ')} `),
          );
        const expected = documents.flatMap((document, i) =>
          /dogs|cats|food|art|running/.test(`${document.title} ${document.text}`) &&
          operators.every(({ exclude, operand }) => has(document, operand) !== exclude)
            ? [`d${i}`]
            : [],
        );
        const { hits, complete } = index.search(query, { mode: 'bm25', k: 100 });
        assert.equal(hits.map(({ id }) => id).sort(), expected.sort());
        assert.is(complete, true);
        documents.forEach((document, i) => {
          const { conditions, rank } = index.explain(query, `d${i}`);
          assert.equal(
            conditions?.map(({ holds }) => holds),
            operators.map(({ exclude, operand }) => has(document, operand) !== exclude),
          );
          if (!expected.includes(`d${i}`)) assert.is(rank, undefined);
        });
        await index.close();
      },
    ),
    { numRuns: 25 },
  );
});

test('dogs -cats ranks no cats; exclusions alone find nothing and say so; plain syntax searches for both', async () => {
  const index = await indexOf([{ text: 'cats and dogs' }, { text: 'my dog runs' }, { text: 'cats sleep' }]);
  const ids = (query: string, options = {}) =>
    index.search(query, { mode: 'bm25', ...options }).hits.map(({ id }) => id);
  assert.equal(ids('dogs -cats'), ['d1']);
  assert.equal(ids('dogs -cats', { syntax: 'plain' }).sort(), ['d0', 'd1', 'd2']);
  const { hits, notices } = index.search('-cats', { mode: 'bm25' });
  assert.is(hits.length, 0);
  assert.equal(
    notices?.map(({ code }) => code),
    ['only-exclusions'],
  );
  assert.equal(index.explain('dogs -cats', 'd0').conditions, [
    { kind: 'exclusion', text: 'cats', holds: false },
  ]);
  await index.close();
});

test('a query in a script that the model does not know is searched by its words, in every mode, and the answer says so', async () => {
  const texts = [
    '我喜欢北京的天气',
    'ฉันรักภาษาไทย',
    'Москва столица России',
    'مرحبا بالعالم',
    '東京タワーに行きました',
    'the weather in Beijing',
  ];
  const index = await indexOf(texts.map((text) => ({ text })));
  const added = await index.add(['Привет, мир', 'α and β'].map((text) => ({ id: text, text })));
  assert.is(added.unknownScript, 1);
  const queries: [string, string][] = [
    ['北京 天气', 'd0'],
    ['ภาษาไทย', 'd1'],
    ['столица', 'd2'],
    ['مرحبا', 'd3'],
    ['タワー', 'd4'],
  ];
  for (const [query, id] of queries)
    for (const mode of ['sparse', 'hybrid'] as const) {
      const found = index.search(query, { mode });
      assert.equal(
        found.hits.map((hit) => hit.id),
        [id],
        query,
      );
      assert.is(found.mode, 'bm25');
      assert.equal(
        found.notices?.map(({ code }) => code),
        ['unknown-script'],
      );
    }
  const explained = index.explain('столица', 'd2');
  assert.is(explained.rank, 1);
  assert.equal(
    explained.notices?.map(({ code }) => code),
    // The index has no model, so that nothing took the place of another ranking.
    ['unknown-document'],
  );
  assert.is(index.search('weather', { mode: 'bm25' }).notices, undefined);
  await index.close();
});

test('a budget that is spent says so in every mode, with phrases too', async () => {
  const index = await indexOf(Array.from({ length: 300 }, (_, i) => ({ text: `dogs chase cats ${i}` })));
  for (const query of ['dogs cats', '"dogs chase"'])
    for (const mode of ['bm25', 'hybrid'] as const) {
      assert.is(index.search(query, { mode, budgetMs: 1e-6 }).complete, false);
      assert.is(index.search(query, { mode, budgetMs: 60_000 }).complete, true);
    }
  await index.close();
});

test.run();
