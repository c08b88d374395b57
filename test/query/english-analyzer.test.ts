import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { analyze, tokenizeWords } from '../../query/text/english-analyzer.ts';
import { luceneLength } from '../../query/text/lucene-length.ts';

test('words keep the joiners of UAX #29 inside and lose them at the edges', () => {
  assert.equal(tokenizeWords("don't stop: 3.14, 1,000 U.S.A. foo_bar e-mail 'quoted'"), [
    "don't",
    'stop',
    '3.14',
    '1,000',
    'U.S.A',
    'foo_bar',
    'e',
    'mail',
    'quoted',
  ]);
  assert.equal(tokenizeWords('IL-6 p53 x.y 3.x a1.5 ___ _a_'), [
    'IL',
    '6',
    'p53',
    'x.y',
    '3',
    'x',
    'a1.5',
    '_a_',
  ]);
});

test('other scripts: letters with marks, Katakana in runs, words of scripts without blanks by dictionary', () => {
  assert.equal(tokenizeWords('naïve cafe\u0301s Ελλάδα Привет'), [
    'naïve',
    'cafe\u0301s',
    'Ελλάδα',
    'Привет',
  ]);
  assert.equal(tokenizeWords('東京カンチョーのラ'), ['東京', 'カンチョー', 'の', 'ラ']);
  assert.equal(tokenizeWords('ภาษาไทยง่ายมาก 한국어'), ['ภาษา', 'ไทย', 'ง่าย', 'มาก', '한국어']);
  assert.equal(tokenizeWords('北京大学生活a 1990年'), ['北京', '大学', '生活', 'a', '1990', '年']);
});

test('possessives, case, stop words and Porter stems, as EnglishAnalyzer gives them', () => {
  assert.equal(analyze("The Children's running of O’Neil’s ponies was relational"), [
    'children',
    'run',
    "o'neil".replace("'", '’'),
    'poni',
    'relat',
  ]);
  assert.equal(analyze('possibly apology'), ['possibl', 'apolog']);
  assert.equal(analyze(''), []);
  assert.equal(analyze('it is not the and'), []);
});

test('soft hyphens, zero-width characters, ligatures, fullwidth letters and decomposed accents do not hide a word', () => {
  assert.equal(
    analyze(
      'soft\u00adhyphen zero\u200bwidth \ufb01nance o\ufb03ce \uff37\uff49\uff4e\uff44\uff4f\uff57\uff53',
    ),
    ['softhyphen', 'zerowidth', 'financ', 'offic', 'window'],
  );
  assert.equal(analyze('cafe\u0301'), analyze('café'));
  assert.equal(analyze('ﾊﾟﾝ'), analyze('パン'));
  const invisible = fc.constantFrom('\u00ad', '\u200b', '\u200d', '\u2060', '\ufeff', '\ufe0f');
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 60 }), invisible, fc.nat(60), (text, mark, at) => {
      const terms = analyze(text);
      assert.equal(analyze(text.normalize('NFC')), terms);
      assert.equal(analyze(text.normalize('NFD')), terms);
      const characters = Array.from(text);
      assert.equal(analyze([...characters.slice(0, at), mark, ...characters.slice(at)].join('')), terms);
    }),
    { numRuns: 1_000, verbose: 1 },
  );
});

test('a word longer than 255 units is chopped as Lucene chops it', () => {
  assert.equal(
    tokenizeWords('x'.repeat(600)).map((t) => t.length),
    [255, 255, 90],
  );
});

test('ASCII text is cut where ICU cuts it', () => {
  const icu = new Intl.Segmenter('en', { granularity: 'word' });
  const pieces = fc.constantFrom(...'aZz09 _.,;:\'"-/()\n', 'word', '12');
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 24 }), (parts) => {
      const text = parts.join('');
      const expected = [...icu.segment(text)].map((s) => s.segment).filter((s) => /[A-Za-z0-9]/.test(s));
      assert.equal(tokenizeWords(text), expected);
    }),
    { numRuns: 500, verbose: 1 },
  );
});

test('analysis never throws and gives only non-empty terms', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
      for (const term of analyze(text)) assert.ok(term.length > 0);
    }),
    { verbose: 1 },
  );
});

test('lengths are rounded as Lucene stores them', () => {
  // Values of SmallFloat.byte4ToInt(SmallFloat.intToByte4(n)).
  const known: [number, number][] = [
    [0, 0],
    [39, 39],
    [40, 40],
    [41, 40],
    [55, 54],
    [56, 56],
    [59, 56],
    [60, 60],
    [1000, 984],
  ];
  for (const [exact, stored] of known) assert.is(luceneLength(exact), stored, String(exact));
});

test.run();
