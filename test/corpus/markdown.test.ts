import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parseMarkdown } from '../../corpus/markdown.ts';
import { check } from '../helpers/property.ts';

const test = suite('parseMarkdown');
const text = (source: string) => parseMarkdown(source).text;

test('named and numeric entities are decoded everywhere but in code', () => {
  const { title, text } = parseMarkdown(
    '# Caf&eacute;\n\nM&uuml;nchen &mdash; 5&nbsp;km &#233;&#x41; &notanentity;\n\n- &frac12; &hellip;\n\n| &alpha; |\n|---|\n| &Omega; |\n\n`&amp;`\n',
  );
  assert.is(title, 'Café');
  assert.is(text, 'Café\n\nMünchen — 5 km éA &notanentity;\n\n½ …\n\nα\nΩ\n\n&amp;');
});

test('blocks nested in each other keep all of their words', () => {
  assert.is(
    text('- a\n\n  > quote\n  > - inner\n  >\n  >   ```\n  >   code\n  >   ```\n- b\n'),
    'a\n\nquote\n\ninner\n\ncode\n\nb',
  );
  assert.is(
    text('1. one\n\n   | x | y |\n   |---|---|\n   | p | q |\n2. two\n'),
    'one\n\nx | y\np | q\n\ntwo',
  );
  assert.is(
    text('- <div>block <b>html</b></div>\n- # heading\n- [x] done\n- [ ] open\n'),
    'block html\n\nheading\n\ndone\nopen',
  );
  assert.is(
    text('[![alt](i.png) text](u) ![rim][r] `co``de` a<br>b\\\nc\n\n[r]: x.png'),
    'alt text rim co``de a\nb\nc',
  );
  assert.is(
    text(
      '<div>\n\n**bold** <span hidden>no</span>\n\n</div>\n<details><summary>S</summary>\n\n* d\n\n</details>',
    ),
    'bold\n\nS\n\nd',
  );
});

test('footnotes stay where they are written and their marks are no words', () => {
  assert.is(
    text(
      'Lava[^1] flows[^note].\n\n[^1]: hot\n[^note]: A longer\n    note with `code`.\n\n    Second paragraph.\n\n[^unused]: Word\n\nEnd.',
    ),
    'Lava flows .\n\nhot\n\nA longer note with code.\n\nSecond paragraph.\n\nWord\n\nEnd.',
  );
});

test('elements named in running text do not hide it', () => {
  assert.is(
    text('Use the <title> and <textarea> tags.\n\nThen a <script> tag.\n\nEnd.'),
    'Use the and tags.\n\nThen a tag.\n\nEnd.',
  );
  assert.is(text('a\n\n<script>\nvar x;\n</script>\n\n<style>p{}</style>\n\n<!-- c -->\n\nb'), 'a\n\nb');
});

test('quotes and lists nested 12,500 deep are read to the bound, then as text, with a warning', () => {
  for (const [mark, words] of [
    ['> ', 12_500],
    ['- ', 12_500],
    ['>', 12_500],
    ['1. > ', 6_000],
  ] as const) {
    const { text, warnings } = parseMarkdown(`first\n\n${mark.repeat(words)}volcano\n\nlast`);
    assert.match(text, /^first\s/);
    assert.match(text, /volcano/);
    assert.match(text, /last$/);
    assert.equal([warnings[0]!.line, warnings.length], [3, 1]);
    assert.match(warnings[0]!.message, /deeper than 100 levels were read as plain text/);
  }
});

test('a file that would take quadratic time is read as plain text, with a warning', () => {
  const source = `---\ntitle: t\n---\n\n${'> ```\nlava &amp; <b>\n\n'.repeat(10)}${'> ```\nlava\n'.repeat(8_000)}`;
  const started = performance.now();
  const { title, text, warnings } = parseMarkdown(source);
  assert.ok(performance.now() - started < 5_000);
  assert.is(title, 't');
  assert.is(text.match(/lava/g)!.length, 8_010);
  assert.equal(
    warnings.map(({ line }) => line),
    [4],
  );
});

test('paragraphs longer than a stretch keep their words', () => {
  const source = Array.from({ length: 20_000 }, (_, i) => `*w${i}* [l${i}](u)`).join(' ');
  const found = text(source).match(/[wl]\d+/g)!;
  assert.is(new Set(found).size, 40_000);
});

test('no word of random text in random markup is lost', async () => {
  const marks = fc.constantFrom(
    ...[
      '> ',
      '- ',
      '1. ',
      '# ',
      '\n',
      '\n\n',
      '    ',
      '**',
      '_',
      '~~',
      '|',
      '[',
      '](',
      ')',
      '![',
      '&',
      '\\',
      '\t',
    ],
  );
  await check(
    fc.property(fc.array(fc.oneof(marks, fc.constant('W')), { maxLength: 60 }), (parts) => {
      // Link targets and what follows a `]:` are not text: no parentheses close, so there are no targets.
      const words: string[] = [];
      const source = parts
        .filter((part) => part !== ')' && part !== '](')
        .map((part) => {
          if (part !== 'W') return part;
          words.push(`w${words.length}x`);
          return `${words.at(-1)} `;
        })
        .join('');
      const found = text(source).match(/w\d+x/g) ?? [];
      // A row may have more cells than the header of its table, and GFM leaves those out. What follows the mark of a fence
      // (`~~~~ js`) names its language and is not shown.
      if (!source.includes('|') && !source.includes('~~~')) assert.equal(found, words);
    }),
    { numRuns: 1_000 },
  );
});

test.run();
