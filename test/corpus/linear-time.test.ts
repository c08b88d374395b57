// Reading takes time in O(characters), whatever they are: for each pattern, four times the text may take ten times as
// long, where quadratic work would take sixteen times as long.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parseHtml } from '../../corpus/html.ts';
import { parseMarkdown } from '../../corpus/markdown.ts';
import { splitPassages } from '../../corpus/passages.ts';
import { openModel } from '../../encoder/model.ts';
import { analyze } from '../../query/text/english-analyzer.ts';

/** Texts of about n characters, by what is in them. */
type Patterns = Readonly<Record<string, (n: number) => string>>;

const MARKDOWN: Patterns = {
  _a_b: (n) => '_a_b'.repeat(n / 4),
  '*a_': (n) => '*a_ '.repeat(n / 4),
  '**a': (n) => '**a '.repeat(n / 4),
  'a**b': (n) => 'a**b'.repeat(n / 4),
  '[': (n) => '['.repeat(n),
  '[a](': (n) => '[a]('.repeat(n / 4),
  '[a](<b': (n) => '[a](<b'.repeat(n / 6),
  '![': (n) => '!['.repeat(n / 2),
  '`': (n) => Array.from({ length: (Math.sqrt(n) * 1.4) | 0 }, (_, i) => '`'.repeat(i)).join(' '),
  '` a': (n) => '`a ``b '.repeat(n / 7),
  '<!--': (n) => 'a <!-- '.repeat(n / 7),
  '<?': (n) => 'a <?'.repeat(n / 4),
  '<![CDATA[': (n) => 'a <![CDATA['.repeat(n / 11),
  '<!A': (n) => 'a <!A '.repeat(n / 6),
  '<a b=': (n) => '<a b="'.repeat(n / 6),
  '<a ': (n) => '<a '.repeat(n / 3),
  '&amp': (n) => '&amp'.repeat(n / 4),
  '&': (n) => '&'.repeat(n),
  '&#': (n) => '&#12345678'.repeat(n / 10),
  '>': (n) => '>'.repeat(n),
  '> nl': (n) => '> a\n'.repeat(n / 4),
  '>>lines': (n) => `${'>'.repeat(500)}a\n`.repeat(n / 502),
  '- ': (n) => '- '.repeat(n / 2),
  '- nested': (n) => Array.from({ length: Math.sqrt(n) | 0 }, (_, i) => `${' '.repeat(i * 2)}- a`).join('\n'),
  '1.': (n) => '1. a\n'.repeat(n / 5),
  'lists blank': (n) => '- a\n\n\n'.repeat(n / 6),
  blanks: (n) => `${' '.repeat(n)}a`,
  nl: (n) => 'a\n'.repeat(n / 2),
  'a  nl': (n) => 'a  \n'.repeat(n / 4),
  nlnl: (n) => `${'\n'.repeat(n)}x`,
  tabs: (n) => `${'\t'.repeat(n)}x`,
  trail: (n) => `a${' '.repeat(n)}\nb`,
  table: (n) => `|a|b|\n|-|-|\n${'|c|d|\n'.repeat(n / 6)}`,
  tablewide: (n) => `${'|a'.repeat(n / 4)}|\n${'|-'.repeat(n / 4)}|\n`,
  tablecells: (n) =>
    `${'|a'.repeat(Math.sqrt(n) | 0)}|\n${'|-'.repeat(Math.sqrt(n) | 0)}|\n${'|\n'.repeat(n / 2)}`,
  pipes: (n) => `${'|'.repeat(n)}\n|-`,
  'table interrupts': (n) => 'a | b\n'.repeat(n / 6),
  '# ': (n) => '# a\n'.repeat(n / 4),
  '####': (n) => `# a ${'#'.repeat(n)}`,
  '# a #x': (n) => `# ${'# a'.repeat(n / 3)}`,
  '---': (n) => 'a\n---\n'.repeat(n / 6),
  '- - -': (n) => `${'- '.repeat(n / 2)}a`,
  '***': (n) => '*'.repeat(n),
  '***a': (n) => `${'*'.repeat(n / 2)}a${'*'.repeat(n / 2)}`,
  '~~': (n) => '~~a '.repeat(n / 4),
  '~~~~': (n) => `${'~'.repeat(n)}a`,
  '```': (n) => '```\n'.repeat(n / 4),
  '``` nested q': (n) => '> ```\na\n'.repeat(n / 8),
  '[a]: b': (n) => Array.from({ length: n / 12 }, (_, i) => `[a${i}]: b`).join('\n'),
  '[a]:': (n) => '[a]: b "\n'.repeat(n / 10),
  '[^1]': (n) => '[^1]: a\n'.repeat(n / 8),
  '[^x]': (n) => '[^x]'.repeat(n / 4),
  refs: (n) => `[a]: x\n\n${'[a][b] '.repeat(n / 7)}`,
  '[\\': (n) => '[\\'.repeat(n / 2),
  '\\': (n) => '\\'.repeat(n),
  '[[a](b)': (n) => '[[a](b)'.repeat(n / 7),
  '[a][': (n) => '[a]['.repeat(n / 4),
  '](': (n) => ']('.repeat(n / 2),
  '[(': (n) => '[('.repeat(n / 2),
  'a(': (n) => `[a](${'('.repeat(n)}`,
  '<x@': (n) => '<x@'.repeat(n / 3),
  '<http:': (n) => '<http:'.repeat(n / 6),
  html: (n) => '<div>\n\n'.repeat(n / 7),
  'html inline': (n) => '<b>a '.repeat(n / 5),
  '</': (n) => 'a </'.repeat(n / 4),
  fm: (n) => `---\n${'a: b\n'.repeat(n / 5)}---\nx`,
  'fm bad': (n) => `---\n${Array.from({ length: n / 12 }, (_, i) => `k${i}: a: b`).join('\n')}\n---\nx`,
  'fm unclosed': (n) => `---\n${'a\n'.repeat(n / 2)}`,
  'fm json': (n) => `{"a":${'['.repeat(n)}}\n`,
  'fm flow': (n) => `---\na: ${'['.repeat(n / 2)}${']'.repeat(n / 2)}\n---\n`,
  'fm tomlarr': (n) => `+++\na=${'['.repeat(n / 2)}${']'.repeat(n / 2)}\n+++\n`,
  'fm nested': (n) =>
    '---\n' +
    Array.from({ length: Math.sqrt(n * 2) | 0 }, (_, i) => `${' '.repeat(i)}a:`).join('\n') +
    '\n---\n',
  'fm toml': (n) => `+++\n${Array.from({ length: n / 8 }, (_, i) => `k${i} = 1`).join('\n')}\n+++\nx`,
  'fm toml bad': (n) => `+++\n${Array.from({ length: n / 8 }, (_, i) => `k${i} = 1x`).join('\n')}\n+++\nx`,
  'fm spaces': (n) => `---\na: ${' '.repeat(n)}x\n---\n`,
  'fm tab': (n) => `---\n${'a:\tb\n'.repeat(n / 5)}\tc\n---\nx`,
  'fm q': (n) => `---\na: "${'\n'.repeat(n)}\n---\nx`,
  'fm alias': (n) =>
    '---\na: &a [x,x,x]\n' +
    Array.from({ length: n / 20 }, (_, i) => `b${i}: [*a,*a]`).join('\n') +
    '\n---\nx',
  'long word': (n) => 'a'.repeat(n),
  'q list': (n) => `${'> - '.repeat(n / 4)}a`,
  setext: (n) => `${'a\n'.repeat(n / 2)}===`,
  lazy: (n) => `> a\n${'b\n'.repeat(n / 2)}`,
  indent: (n) => '    a\n'.repeat(n / 6),
  '*_': (n) => '*_'.repeat(n / 2),
  'a*': (n) => 'a*'.repeat(n / 2),
  '_ ': (n) => '_ '.repeat(n / 2),
  '""': (n) => '[a](b "'.repeat(n / 7),
  'fn nested': (n) => '[^a]: '.repeat(n / 6),
  task: (n) => '- [ ] a\n'.repeat(n / 8),
  'fn deep': (n) =>
    Array.from({ length: Math.sqrt(n / 2) | 0 }, (_, i) => `${' '.repeat(i * 4)}[^a]: x`).join('\n\n'),
};

const HTML: Patterns = {
  'pre blanks': (n) => `<pre>${' '.repeat(n)}x</pre>`,
  'pre blanks lines': (n) => `<pre>${(`${' '.repeat(500)}\n`).repeat(n / 500)}`,
  blanks: (n) => `${' '.repeat(n)}x`,
  div: (n) => '<div>'.repeat(n / 5),
  'div p': (n) => '<div><p>'.repeat(n / 8),
  b: (n) => '<b>'.repeat(n / 3),
  'b attr': (n) => Array.from({ length: n / 10 }, (_, i) => `<b a=${i}>`).join(''),
  'b attr p': (n) => Array.from({ length: n / 14 }, (_, i) => `<p><b a=${i}>x`).join(''),
  'div font': (n) =>
    Array.from({ length: n / 24 }, (_, i) => `<div><font a=${i}></div>`).join('') + '<p>x'.repeat(n / 8),
  'a b p': (n) => '<a><b><p></a>'.repeat(n / 13),
  '/b': (n) => '</b>'.repeat(n / 4),
  '/div': (n) => '</div>'.repeat(n / 6),
  table: (n) => '<table>'.repeat(n / 7),
  'table td': (n) => '<table><tr><td>'.repeat(n / 15),
  'table text': (n) => `<table>${'a<tr>b'.repeat(n / 6)}`,
  tr: (n) => `<table>${'<tr>x'.repeat(n / 5)}`,
  '<': (n) => '<'.repeat(n),
  '</': (n) => '</'.repeat(n / 2),
  '<!--': (n) => '<!--'.repeat(n / 4),
  '<!-': (n) => '<!-- -'.repeat(n / 6),
  '<?': (n) => '<?'.repeat(n / 2),
  '<a b': (n) => `<a ${'b '.repeat(n / 2)}>`,
  '<a attrs': (n) => `<a ${Array.from({ length: n / 6 }, (_, i) => `b${i}`).join(' ')}>`,
  '<a b=': (n) => '<a b="'.repeat(n / 6),
  '&': (n) => '&'.repeat(n),
  '&amp': (n) => '&amp'.repeat(n / 4),
  '&#': (n) => '&#x'.repeat(n / 3),
  '&notit': (n) => '&notit'.repeat(n / 6),
  script: (n) => '<script>'.repeat(n / 8),
  'script<!--': (n) => '<script><!--<script'.repeat(n / 19),
  title: (n) => '<title>'.repeat(n / 7),
  'title closed': (n) => '<title>a</title>'.repeat(n / 16),
  select: (n) => '<select><option>'.repeat(n / 16),
  svg: (n) => '<svg>'.repeat(n / 5),
  'svg a': (n) => '<svg><a>'.repeat(n / 8),
  math: (n) => '<math><mi>'.repeat(n / 10),
  form: (n) => '<form>'.repeat(n / 6),
  li: (n) => '<li>'.repeat(n / 4),
  'ul li': (n) => '<ul><li>'.repeat(n / 8),
  p: (n) => '<p>'.repeat(n / 3),
  button: (n) => '<button>'.repeat(n / 8),
  nobr: (n) => '<nobr>'.repeat(n / 6),
  template: (n) => `${'<template>'.repeat(n / 10)}</template>`,
  style: (n) => `<p style="${'/*'.repeat(n / 2)}display:none">x`,
  'style;': (n) => `<p style="${';'.repeat(n)}display:none">x`,
  h1: (n) => '<h1>a<div><h2>'.repeat(n / 14),
  br: (n) => 'a<br>'.repeat(n / 5),
  'br only': (n) => '<br>'.repeat(n / 4),
  cdata: (n) => `<?xml ?>${'<![CDATA['.repeat(n / 9)}`,
  'cdata closed': (n) => `<?xml ?>${'<![CDATA[a]]>'.repeat(n / 13)}`,
  'xhtml self': (n) => `<?xml ?>${'<div/>'.repeat(n / 6)}`,
  doctype: (n) => `<?xml ?><!DOCTYPE ${'['.repeat(n)}`,
  'html attrs': (n) => '<html '.repeat(n / 6),
  body: (n) => '<body a>'.repeat(n / 8),
  applet: (n) => '<applet>'.repeat(n / 8),
  textarea: (n) => `${'<textarea>\n'.repeat(n / 11)}</textarea>`,
  'td headers': (n) => `<table><tr>${'<td>'.repeat(n / 4)}`,
  caption: (n) => '<table><caption>'.repeat(n / 16),
  colgroup: (n) => '<table><colgroup><col>'.repeat(n / 22),
  frameset: (n) => '<frameset>'.repeat(n / 10),
  dd: (n) => '<dl><dd>'.repeat(n / 8),
  ruby: (n) => '<ruby><rt>'.repeat(n / 10),
  nul: (n) => '\0'.repeat(n),
  cr: (n) => '\r'.repeat(n),
  'div/p': (n) => '<div></p>'.repeat(n / 9),
  a: (n) => '<a>'.repeat(n / 3),
  'font/p': (n) => '<font><p>x</p></font>'.repeat(n / 21),
  aaa: (n) => '<b><div>'.repeat(n / 16) + '</b>'.repeat(n / 8),
};

const TEXT: Patterns = {
  blanks: (n) => `a${' '.repeat(n)}b`,
  lines: (n) => 'a\n'.repeat(n / 2),
  'empty lines': (n) => 'a\n\n'.repeat(n / 3),
  sentences: (n) => 'A b. '.repeat(n / 5),
  letters: (n) => 'a'.repeat(n),
  stops: (n) => '.'.repeat(n),
  'no stops': (n) => 'word '.repeat(n / 5),
  marks: (n) => '\u0301'.repeat(n),
  'soft hyphens': (n) => 'a\u00ad'.repeat(n / 2),
  ideographs: (n) => '山'.repeat(n),
  surrogates: (n) => '😀'.repeat(n / 2),
  'no-break blanks': (n) => '\u00a0'.repeat(n),
};

const { tokenizer } = openModel().query;
const passages = (text: string) =>
  splitPassages({ id: 'd', title: '', text, metadata: {} }, { countTokens: (part) => tokenizer.count(part) });

const CHARACTERS = 20_000;
/** Shorter times say nothing about growth. */
const MEASURABLE_MS = 150;

const test = suite('linear time');
for (const [name, patterns, read] of [
  ['Markdown', MARKDOWN, parseMarkdown],
  ['HTML', HTML, parseHtml],
  ['passages', TEXT, passages],
  ['words', TEXT, analyze],
] as const)
  test(name, () => {
    const milliseconds = (text: string) => {
      // Time of this process, since a busy machine stretches the other kind.
      const started = process.cpuUsage();
      read(text);
      const { user, system } = process.cpuUsage(started);
      return (user + system) / 1000;
    };
    for (const [pattern, repeat] of Object.entries(patterns)) {
      let growth = Number.POSITIVE_INFINITY;
      // A collection of garbage may disturb one measurement, not five.
      for (let attempt = 0; attempt < 5 && growth >= 10; attempt++) {
        const long = milliseconds(repeat(4 * CHARACTERS));
        growth = long < MEASURABLE_MS ? 0 : long / milliseconds(repeat(CHARACTERS));
      }
      assert.ok(growth < 10, `${pattern}: ${growth.toFixed(1)} times the time for 4 times the text`);
    }
  });

test.run();
