import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parseHtml } from '../../corpus/html.ts';

const test = suite('parseHtml');
const NAMES = [
  'script',
  'style',
  'title',
  'iframe',
  'textarea',
  'noscript',
  'object',
  'nav',
  'select',
  'a',
  'div',
  'p',
];
const NAMESPACE = 'xmlns="http://www.w3.org/1999/xhtml"';

test('an element of XHTML that closes itself swallows nothing', () => {
  for (const name of NAMES)
    for (const [start, options] of [
      [`<?xml version="1.0"?>\n<html ${NAMESPACE}>`, {}],
      ['<?xml version="1.0" encoding="utf-8"?><html>', {}],
      [`<!DOCTYPE html>\n<html lang="en" ${NAMESPACE}>`, {}],
      ['<html>', { xhtml: true }],
    ] as const) {
      const inHead = parseHtml(
        `${start}<head><${name} id="a"/><meta/></head><body><p>volcano</p></body></html>`,
        options,
      );
      assert.is(inHead.text, 'volcano', `${name} in the head of ${start}`);
      const { text } = parseHtml(
        `${start}<head/><body><h1>Lava</h1><${name}/><p>volcano <b/>ash</p></body></html>`,
        options,
      );
      assert.is(text, 'Lava\n\nvolcano ash', `${name} in the body of ${start}`);
    }
});

test('CDATA sections of XHTML are text, its document type and instructions are not', () => {
  const page =
    '<?xml version="1.0"?><?xml-stylesheet href="a.css"?><!DOCTYPE html [<!ENTITY x "y">]><html><body>' +
    '<script><![CDATA[ if (a < b) c(); ]]></script><p>a <![CDATA[<b> & c]]> d</p></body></html>';
  assert.is(parseHtml(page).text, 'a <b> & c d');
  assert.is(parseHtml('<?xml ?><p>a <![CDATA[ never closed</p>').text, 'a');
});

test('an unclosed element hides nothing', () => {
  for (const name of [
    'title',
    'textarea',
    'iframe',
    'noscript',
    'select',
    'template',
    'video',
    'noembed',
    'nav',
    'object',
    'b',
    'table',
    'pre',
    'svg',
  ])
    assert.match(
      parseHtml(`<h1>Lava</h1><${name}>flows <p>down the volcano`).text,
      /Lava\s+flows\s+down the volcano/,
      name,
    );
  assert.is(parseHtml('<head><title>Lava<body><p>volcano').text, 'Lava\n\nvolcano');
  // Code that is cut off is still code.
  assert.is(parseHtml('<p>volcano</p><script>var a = 1;').text, 'volcano');
});

test('what a browser does not show is not read; details and alternative texts are', () => {
  const hidden = [
    ...['<script type="application/json">{"a":1}</script>', '<style>p{}</style>', '<template>x</template>'],
    ...['<p hidden>x</p>', '<p style="color: red; DISPLAY: none !important">x</p>', '<noscript>x</noscript>'],
    ...[
      '<p style="visibility:hidden">x</p>',
      '<datalist><option>x</datalist>',
      '<dialog>x</dialog>',
      '<!-- x -->',
    ],
    ...['<svg><title>x</title></svg>', '<ruby><rp>(</rp></ruby>', '<input value="x">'],
  ];
  for (const piece of hidden) assert.is(parseHtml(`a${piece} b`).text.replace(/\s+/g, ' '), 'a b', piece);
  assert.is(parseHtml('<details><summary>More</summary>lava</details>').text, 'More\nlava');
  assert.is(parseHtml('a<img src="x" alt="the rim">b').text, 'a the rim b');
  assert.is(parseHtml('<p style="visibility:hidden">x<b style="visibility:visible">y</b></p>').text, 'y');
});

test('blocks, cells and line breaks separate words, inline elements do not', () => {
  assert.is(
    parseHtml('vol<b>can</b>o<wbr>es<br>ash<div>lava</div>tuff').text,
    'volcanoes\nash\n\nlava\n\ntuff',
  );
  assert.is(parseHtml('<table><tr><td>a<td>b<tr><td><p>c</p><td>d</table>').text, 'a | b\n\nc\n\nd');
  assert.is(parseHtml('<ul><li>a<ul><li>b</ul><li>c</ul>').text, 'a\nb\nc');
  assert.is(parseHtml('<p>caf&eacute; &mdash; 5&nbsp;km &copy;').text, 'café — 5 km ©');
});

test('headings make sections, also with elements inside', () => {
  const { title, text, sections } = parseHtml(
    '<h1>One <em>big</em><br>hill</h1><p>a<div><h2>Two</h2>b</div>',
  );
  assert.is(title, 'One big hill');
  assert.equal(
    sections.map(({ headings, start, end }) => [headings.join('/'), text.slice(start, end).trim()]),
    [
      ['One big hill', 'a'],
      ['One big hill/Two', 'b'],
    ],
  );
});

test('a page nested 200,000 deep keeps its words and is reported', () => {
  const page = `${'<div><b>'.repeat(100_000)}volcano${'</b>ash</div>'.repeat(100_000)}`;
  const { text, warnings } = parseHtml(page);
  assert.match(text, /^volcano/);
  assert.is(text.match(/ash/g)!.length, 100_000);
  assert.match(warnings[0]!.message, /deeper than 512/);
  assert.equal(parseHtml('<div>a</div>').warnings, []);
});

test('formatting that is never closed does not multiply', () => {
  const page = Array.from({ length: 5_000 }, (_, i) => `<p><font size=${i}>word`).join('');
  assert.is(parseHtml(page).text.match(/word/g)!.length, 5_000);
});

test('preformatted text keeps its lines', () => {
  assert.is(parseHtml('<pre>a  \n  b\t\n\n</pre>').text, 'a\n  b');
});

test.run();
