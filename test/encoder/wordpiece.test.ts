import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openModel } from '../../encoder/model-file.ts';
import { check } from '../helpers/property.ts';

const test = suite('WordPiece and idf queries');
const { query, config } = openModel();
const { tokenizer } = query;

test('gives the ids of the tokenizers library on hand-picked and random Unicode', () => {
  // Recorded with tokenizers 0.22 and bert-base-uncased's vocabulary.
  const rows = readFileSync(new URL('../fixtures/wordpiece.jsonl', import.meta.url), 'utf8')
    .trim()
    .split('\n');
  for (const row of rows) {
    const [text, ids] = JSON.parse(row) as [string, number[]];
    assert.equal(tokenizer.encode(text), ids, JSON.stringify(text));
  }
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
      },
    ),
    { numRuns: 300 },
  );
});

test('the bundled vocabulary is that of the model', () => {
  assert.is(tokenizer.vocabularySize, config.vocab_size);
});

test.run();
