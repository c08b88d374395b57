import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openModel } from '../../../../encoder/model.ts';
import { foldCharacter, foldText } from '../../../../encoder/transformer/tokenizer/unicode-folding.ts';
import { check } from '../../../helpers/property.ts';

const test = suite('WordPiece and idf queries');
const { query, config, tokenizer } = openModel();

test('gives the ids of the tokenizers library on hand-picked and random Unicode', () => {
  // Recorded with tokenizers 0.22 and bert-base-uncased's vocabulary, which does not fold the ligature to `fi`. Rows with
  // letters that Winnow folds are compared with their folded form instead.
  let compared = 0;
  const rows = readFileSync(new URL('../../../fixtures/wordpiece.jsonl', import.meta.url), 'utf8')
    .trim()
    .split('\n');
  for (const row of rows) {
    const [text, ids] = JSON.parse(row) as [string, number[]];
    const given = tokenizer.encode(text);
    if (hasFoldedLetters(text)) {
      assert.equal(given, tokenizer.encode(foldText(text)), JSON.stringify(text));
      continue;
    }
    assert.equal(given, ids, JSON.stringify(text));
    compared++;
  }
  assert.ok(compared > 100, `${compared} rows`);
});

/** Whether folding changes a text beyond composing it and removing what WordPiece removes too. */
function hasFoldedLetters(text: string): boolean {
  return foldText(text) !== text.replace(/\p{Cf}/gu, '').normalize('NFC');
}

test('forms of one word give the same ids, and the word keeps its position in the text', () => {
  const forms = [
    'finance',
    '\ufb01nance',
    '\uff26\uff29nance',
    'fi\u00adnan\u200bce',
    '\u{1d41f}inance',
    '\u2060finance\ufe0f',
  ];
  const [expected] = forms.map((form) => tokenizer.encode(form));
  for (const form of forms) {
    const text = `a ${form}, b`;
    const words = tokenizer.words(text);
    assert.equal(words[1]!.ids, expected, form);
    assert.is(foldText(text.slice(words[1]!.start, words[1]!.end)).toLowerCase(), 'finance');
  }
  assert.equal(tokenizer.encode('50\uff05\uff01'), tokenizer.encode('50%!'));
  // Not letters: folding would change their meaning.
  assert.is.not(tokenizer.encode('10\u00bd').join(), tokenizer.encode('101\u20442').join());
  assert.equal(foldText('10\u00b2 \u2026 \u2122 \u00a0'), '10\u00b2 \u2026 \u2122 \u00a0');
});

test('a text and its folded, composed and decomposed forms give the same ids', async () => {
  const letters = fc.constantFrom(
    ...'aé\ufb03\uff21\u00ad\u200b\u0301\u1100\u1161ｶ\uff9e한ſ№½ \u3000.\uff0c中',
  );
  const texts = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 40 }),
    fc.string({ unit: letters, maxLength: 40 }),
  );
  await check(
    fc.property(texts, (text) => {
      const ids = tokenizer.encode(text);
      assert.equal(tokenizer.encode(foldText(text)), ids);
      assert.is(foldText(foldText(text)), foldText(text));
      assert.is(foldText(text), Array.from(text, foldCharacter).join('').normalize('NFC'));
      assert.equal(tokenizer.encode(text.normalize('NFC')), ids);
      assert.equal(tokenizer.encode(text.normalize('NFD')), ids);
    }),
    { numRuns: 2_000 },
  );
});

test('a query is its tokens weighted by idf, as published for the OpenSearch models', () => {
  const { termIds, weights } = query.encode("What's the weather in ny now?");
  const found = Array.from(termIds, (id, i) => [tokenizer.tokens[id], weights[i]!.toFixed(4)]);
  assert.equal(
    new Map(found as [string, string][]),
    new Map([
      ["'", '1.5751'],
      ['?', '3.3313'],
      ['s', '1.4273'],
      ['the', '0.1353'],
      ['in', '0.4989'],
      ['what', '2.7699'],
      ['now', '3.5895'],
      ['weather', '4.5684'],
      ['ny', '5.7729'],
    ]),
  );
});

test('repeated and special tokens do not count', () => {
  const once = query.encode('rain rain RAIN [MASK] 🂡');
  assert.ok(!once.termIds.includes(103) && !once.termIds.includes(100));
  assert.is(once.termIds.filter((id) => tokenizer.tokens[id] === 'rain').length, 1);
});

test('text that spells a special token cannot inject it', () => {
  assert.ok(
    tokenizer.encode('[CLS] [MASK] [SEP] [PAD] [UNK]').every((id) => ![0, 100, 101, 102, 103].includes(id)),
  );
});

test('words cover the text in order, count agrees with encode, and a window is cut to size', async () => {
  await check(
    fc.property(
      fc.string({ unit: 'binary', maxLength: 60 }),
      fc.integer({ min: 2, max: 20 }),
      (text, window) => {
        const words = tokenizer.words(text);
        let end = 0;
        for (const word of words) {
          assert.ok(word.start >= end && word.end > word.start && word.end <= text.length);
          end = word.end;
        }
        const ids = tokenizer.encode(text);
        assert.equal(
          words.flatMap((word) => [...word.ids]),
          ids,
        );
        assert.is(tokenizer.count(text), ids.length);
        const cut = tokenizer.encodeWindow(text, window);
        assert.equal([...cut], [101, ...ids.slice(0, window - 2), 102]);
        assert.equal(tokenizer.encode(text, window), ids.slice(0, window));
      },
    ),
    { numRuns: 300 },
  );
});

test('the bundled vocabulary is that of the model', () => {
  assert.is(tokenizer.vocabularySize, config.vocab_size);
});

test.run();
