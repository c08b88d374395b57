import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseMarkdown } from '../../corpus/markdown.ts';
import { splitPassages } from '../../corpus/passages.ts';
import type { CorpusDocument } from '../../corpus/types.ts';

/** Counts like WordPiece in what matters here: words cost a token per four letters, over 100 letters one [UNK]. */
const countTokens = (text: string) => {
  let tokens = 0;
  for (const [word] of text.matchAll(/\S+/g)) tokens += word.length > 100 ? 1 : Math.ceil(word.length / 4);
  return tokens;
};
const document = (text: string, title = 'T'): CorpusDocument => ({
  id: 'doc',
  title,
  text,
  metadata: { k: 1 },
});
const words = (text: string) => text.split(/\s+/).filter((word) => word !== '');

test('a text that fits stays one document with its own id', () => {
  const whole = document('short text. two sentences.');
  assert.is(splitPassages(whole, { countTokens, maxTokens: 16 })[0], whole);
});

test('sentences are kept whole, overlap, and carry the parent', () => {
  const text = Array.from({ length: 12 }, (_, i) => `Sentence number ${i} has some words in it.`).join(' ');
  const passages = splitPassages(document(text), { countTokens, maxTokens: 40, overlapTokens: 12 });
  assert.ok(passages.length > 2);
  for (const [i, passage] of passages.entries()) {
    assert.is(passage.id, 'doc');
    assert.is(passage.passage, i);
    assert.equal(passage.metadata, { k: 1 });
    assert.match(passage.text, /^Sentence number .*it\.$/);
  }
  const lastOfFirst = /Sentence number \d+ has some words in it\.$/.exec(passages[0]!.text)![0];
  assert.ok(
    passages[1]!.text.startsWith(lastOfFirst),
    'the second passage repeats the last sentence of the first',
  );
});

test('Markdown passages stand under their headings; small sections share a passage', () => {
  const long = (word: string) => `${word} text goes on. `.repeat(12);
  const source = `# Guide\n\nintro\n\n## Install\n\n${long('install')}\n\n### Linux\n\n${long('linux')}\n\n## Tiny A\n\na\n\n## Tiny B\n\nb\n`;
  const { title, text, sections } = parseMarkdown(source);
  const passages = splitPassages(document(text, title), { countTokens, maxTokens: 70 }, sections);
  const titles = passages.map((passage) => passage.title);
  assert.ok(titles.includes('Guide > Install'));
  assert.ok(titles.includes('Guide > Install > Linux'));
  const tiny = passages.at(-1)!;
  assert.is(tiny.title, 'Guide');
  assert.is(tiny.text, 'Tiny A\n\na\n\nTiny B\n\nb');
});

test('nothing is lost, no passage is over the limit, order is kept (random texts)', () => {
  // Every character is used once, so that the place of a passage in the text is certain.
  const kinds = fc.constantFrom('word', 'sentence', 'paragraph', 'run', 'blanks');
  fc.assert(
    fc.property(
      fc.array(kinds, { maxLength: 120 }),
      fc.integer({ min: 16, max: 60 }),
      fc.string({ maxLength: 90 }),
      (pieces, maxTokens, title) => {
        let next = 0x4e00;
        const take = (n: number) => Array.from({ length: n }, () => String.fromCharCode(next++)).join('');
        const text = pieces
          .map((kind) => {
            if (kind === 'run') return take(130);
            if (kind === 'blanks') return ' \n \n\n\t  ';
            return take(5) + { word: ' ', sentence: '. ', paragraph: '\n\n' }[kind];
          })
          .join('');
        const passages = splitPassages(document(text, title), { countTokens, maxTokens });
        if (passages.length === 1 && passages[0]!.passage === undefined) return;
        const squeezed = text.replace(/\s+/g, '');
        let reached = 0;
        let before = -1;
        for (const passage of passages) {
          assert.ok(countTokens(passage.title) + countTokens(passage.text) <= maxTokens, passage.text);
          const part = passage.text.replace(/\s+/g, '');
          const at = squeezed.indexOf(part);
          assert.ok(at > before && at <= reached && at + part.length > reached, `${before} ${at} ${reached}`);
          before = at;
          reached = at + part.length;
        }
        assert.is(reached, squeezed.length);
      },
    ),
    { numRuns: 200, verbose: 1 },
  );
});

test('ten megabytes without a blank, of blanks, and of CJK are split in time linear in their length', () => {
  // A character costs a token here, so nothing fits by chance.
  const perCharacter = (text: string) => text.replace(/\s+/g, '').length;
  const size = 10_000_000;
  for (const [name, text] of [
    ['one run', 'x'.repeat(size)],
    ['newlines', `a${'\n'.repeat(size)}${'b'.repeat(600)}`],
    ['ideographs', '漢'.repeat(size)],
    ['spaces', `${' '.repeat(size)}${'b '.repeat(600)}`],
  ] as const) {
    const started = performance.now();
    const passages = splitPassages(document(text), { countTokens: perCharacter });
    const tookMs = performance.now() - started;
    assert.ok(tookMs < 10_000, `${name} took ${Math.round(tookMs)} ms`);
    assert.ok(passages.length >= 2);
    assert.ok(words(passages[0]!.text).length >= 1);
  }
});

test('limits out of range are refused by name', () => {
  for (const wrong of [{ maxTokens: 5 }, { overlapTokens: -1 }, { overlapTokens: 400 }, { mergeTokens: 1.5 }])
    assert.throws(() => splitPassages(document('x'), { countTokens, ...wrong }), /must be an integer in/);
});

test.run();
