import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { splitFrontMatter } from '../../corpus/front-matter.ts';
import { check } from '../helpers/property.ts';

const test = suite('front matter');

test('YAML, TOML and JSON are metadata, not text', () => {
  for (const source of [
    '---\ntitle: T\nn: 1\n---\nbody\n',
    '---\r\ntitle: T\r\nn: 1\r\n...\r\nbody\r\n',
    '---yaml\ntitle: "T"\nn: 1\n---\nbody\n',
    '+++\ntitle = "T"\nn = 1\n+++\nbody\n',
    '---toml\ntitle = "T"\nn = 1\n---\nbody\n',
    ';;;\n{"title": "T", "n": 1}\n;;;\nbody\n',
    '{\n  "title": "T",\n  "n": 1\n}\nbody\n',
    '{"title":"T","n":1}\nbody\n',
  ]) {
    const { title, values, body, warnings } = splitFrontMatter(source);
    assert.equal([title, values, body.trim(), warnings], ['T', { n: 1 }, 'body', []], source);
  }
});

test('a title is kept as written, whatever YAML reads it as', () => {
  for (const [written, title] of [
    ...[
      ['2024', '2024'],
      ['1.10', '1.10'],
      ['2024-01-02', '2024-01-02'],
      ['true', 'true'],
      ['[a, b]', '[a, b]'],
      ['0x10', '0x10'],
    ],
    ...[
      ['"1.0"', '1.0'],
      ["'it''s'", "it's"],
      ['null', 'null'],
      ['', ''],
      ['>\n  two\n  lines', 'two lines'],
      ['{a: b}', '{a: b}'],
    ],
    ...[
      ['1e3 # comment', '1e3'],
      ['~', ''],
    ],
  ] as const)
    assert.is(splitFrontMatter(`---\ntitle: ${written}\nx: 1\n---\nbody`).title, title, written);
  assert.is(splitFrontMatter('+++\ntitle = 2024\n+++\nbody').title, '2024');
});

test('a slip keeps the body and the other fields, and is reported with its line', () => {
  for (const [source, line, title, values] of [
    ['---\ntitle: Part one: the volcano\nyear: 1902\n---\nLava', 2, 'Part one: the volcano', { year: 1902 }],
    ['---\ntag: a\ntag: b\n---\nLava', 3, '', { tag: 'b' }],
    ['---\nyear: 1902\ntitle: x\n\tindent: tab\n---\nLava', 4, 'x indent: tab', { year: 1902 }],
    ['---\nyear: 1902\nby: @someone\n---\nLava', 3, '', { year: 1902, by: '@someone' }],
    ['---\nby: %x\ntitle: `code`\n---\nLava', 2, '`code`', { by: '%x' }],
    ['---\ntags: [a, b\nyear: 1902\n---\nLava', 3, '', { tags: '[a, b', year: 1902 }],
    ['---\ntitle: "open\nyear: 1902\n---\nLava', 4, '"open', { year: 1902 }],
    ['+++\nyear = 1902\ntitle = Volcano\n+++\nLava', 3, 'Volcano', { year: 1902 }],
    [';;;\n{"year": 1902,\n"title": }\n;;;\nLava', 2, '', {}],
  ] as const) {
    const found = splitFrontMatter(source);
    assert.is(found.body, 'Lava', source);
    assert.is(found.title, title, source);
    assert.equal(found.values, values, source);
    assert.is(found.warnings.length, 1, source);
    assert.is(found.warnings[0]!.line, line, source);
  }
});

test('what is no front matter stays text', () => {
  for (const source of [
    '---\n\nA rule above.\n',
    '---\njust: a\nfield without an end',
    '---\nplain words\n---\nmore',
    '{{< shortcode >}}\ntext',
    '{"a": 1} and more on the line',
    '+++ not alone\n+++',
    '',
  ])
    assert.equal(splitFrontMatter(source), { values: {}, title: '', body: source, lines: 0, warnings: [] });
});

test('front matter that is hostile costs itself, not the file', () => {
  for (const source of [
    `---\na: ${'['.repeat(100_000)}\n---\nLava`,
    `---\na: ${'x'.repeat(300_000)}\n---\nLava`,
    `+++\na = ${'['.repeat(50_000)}${']'.repeat(50_000)}\n+++\nLava`,
    `---\na: &a [x,x]\n${Array.from({ length: 40 }, (_, i) => `b${i}: &b${i} [*${i ? `b${i - 1}` : 'a'}, *${i ? `b${i - 1}` : 'a'}]`).join('\n')}\n---\nLava`,
  ]) {
    const { body, warnings } = splitFrontMatter(source);
    assert.is(body, 'Lava');
    assert.ok(warnings.length > 0);
  }
});

test('the body comes back whole after any lines between the fences', async () => {
  const line = fc.oneof(
    fc.constantFrom(
      'a: b',
      'title: x: y',
      '\tt',
      '- x',
      '# c',
      '"',
      'a: [',
      '  b: c',
      'k: &a *a',
      '__proto__: 1',
      'a: !!x y',
    ),
    fc.string({ maxLength: 12 }).filter((text) => !/[\r\n]/.test(text) && !/^(?:---|\.\.\.)\s*$/.test(text)),
  );
  await check(
    fc.property(fc.array(line, { maxLength: 8 }), fc.string({ maxLength: 20 }), (lines, body) => {
      const source = `---\nname: x\n${lines.map((text) => `${text}\n`).join('')}---\n${body}`;
      const found = splitFrontMatter(source);
      assert.ok(found.body === body || found.body === source);
      assert.ok(found.body === body || !('name' in found.values));
    }),
    { numRuns: 1_000 },
  );
});

test.run();
