import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openModel } from '../../../encoder/model.ts';
import { makeSnippet } from '../../../query/hydrate/snippet.ts';
import { readWords } from '../../../query/hydrate/text-words.ts';
import { TokenBeginnings, TokenFinder } from '../../../query/hydrate/token-finder.ts';
import { check } from '../../helpers/property.ts';

const test = suite('snippets');
const { tokenizer } = openModel().query;
const beginnings = new TokenBeginnings(tokenizer);

const WORDS = [
  'sky',
  'skies',
  'scatter',
  'scatters',
  'scattering',
  'in',
  'inlay',
  'a',
  'café',
  'CAFE',
  'naïve',
  '東京',
  'co\u00adoperate',
  'e\u0301tude',
  'x',
  '7up',
];
const MARKS = [
  ' ',
  '  ',
  '\n',
  '. ',
  ', ',
  '-',
  '_',
  "'",
  '’',
  '—',
  '\u00a0',
  '\u0007',
  '😀',
  '/',
  '',
  '\u0301',
  '-\u0301',
];
const text = fc
  .array(fc.tuple(fc.constantFrom(...WORDS), fc.constantFrom(...MARKS)), { maxLength: 40 })
  .map((parts) => parts.flat().join(''));
const query = fc.array(fc.constantFrom(...WORDS, '?', 'deoxyribose'), { minLength: 1, maxLength: 4 });

function find(ids: readonly number[], text: string) {
  const words = readWords(text, tokenizer);
  return Array.from(new TokenFinder(beginnings, ids).find(words), (word) => ({
    start: words.startOf(word),
    end: words.endOf(word),
    ids: words.piecesOf(word) ?? [words.firstIdOf(word)],
  }));
}

/** The same by tokenising all of the text. */
function slowFind(tokens: ReadonlySet<number>, text: string) {
  return tokenizer.words(text).filter(({ ids: [first, ...rest] }) => {
    const token = tokenizer.tokens[first!]!;
    if (!tokens.has(first!) || !/[\p{L}\p{N}]/u.test(token)) return false;
    return token.length >= 4 || rest.every((id) => tokens.has(id) && tokenizer.tokens[id]!.startsWith('##'));
  });
}

test('the words that begin with a token of the query are found, as by tokenising the whole text', async () => {
  await check(
    fc.property(query, text, (words, text) => {
      const ids = tokenizer.encode(words.join(' '));
      assert.equal(find(ids, text), slowFind(new Set(ids), text));
    }),
    { numRuns: 400 },
  );
});

test('a snippet is a part of the text, with the marked places in it, cut between words', async () => {
  await check(
    fc.property(query, text, fc.nat(600), (words, body, padding) => {
      const whole = `${'lorem ipsum '.repeat(padding / 12)}${body}${' dolor sit'.repeat(padding / 10)}`;
      const places = find(tokenizer.encode(words.join(' ')), whole).map(({ start, end }, i) => ({
        start,
        end,
        value: 1 / (i + 1),
        marked: true,
      }));
      const { parts, cutBefore, cutAfter } = makeSnippet(whole, places);
      const shown = parts.map((part) => part.text).join('');
      assert.ok(whole.replace(/\s+/g, ' ').includes(shown.trim()), shown);
      assert.ok(shown.length <= 260, String(shown.length));
      if (places.length > 0) assert.ok(parts.some(({ marked }) => marked));
      if (!cutBefore && !cutAfter) assert.is(shown.trim(), whole.trim().replace(/\s+/g, ' '));
      assert.ok(parts.every(({ marked }, i) => i === 0 || marked !== parts[i - 1]!.marked));
      assert.not.match(shown, /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/);
    }),
    { numRuns: 300 },
  );
});

test('a snippet begins with the sentence that holds the match, where one begins near', () => {
  const before = 'It was a long and quiet morning in the valley, and nobody expected what came. '.repeat(6);
  const whole = `${before}The whale swims north. ${before}`;
  const start = whole.indexOf('whale');
  const { parts, cutBefore, cutAfter } = makeSnippet(whole, [
    { start, end: start + 5, value: 1, marked: true },
  ]);
  const shown = parts.map((part) => part.text).join('');
  assert.match(shown, /^(The whale|It was)/);
  assert.match(shown, /[.]$/);
  assert.equal([cutBefore, cutAfter], [true, true]);
  assert.is(makeSnippet('short', []).parts[0]!.text, 'short');
  assert.equal(makeSnippet('', []), { parts: [], cutBefore: false, cutAfter: false });
});

test.run();
