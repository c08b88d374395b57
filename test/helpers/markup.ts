import fc from 'fast-check';

/** Generators of HTML and Markdown with random words, for tests that compare what is read with what is shown. */

const word = fc.constantFrom(
  'lava',
  'ash',
  'cone',
  'vent',
  'magma',
  'crater',
  'tuff',
  'basalt',
  'caldera',
  'pumice',
);
const entity = fc.constantFrom(
  'caf&eacute;',
  'M&uuml;nchen',
  '5&nbsp;km',
  'a&mdash;b',
  '&lt;tag&gt;',
  'x&#233;y',
  'AT&amp;T',
  '&copy;right',
);
const words = fc
  .array(fc.oneof({ weight: 5, arbitrary: word }, entity), { minLength: 1, maxLength: 4 })
  .map((list) => list.join(' '));

const inlineTags = ['b', 'i', 'em', 'a', 'span', 'code', 'sup', 'u', 'font', 'label', 'kbd', 'abbr'];
const blockTags = [
  ...[
    'p',
    'div',
    'section',
    'article',
    'blockquote',
    'pre',
    'ul',
    'ol',
    'li',
    'dl',
    'dt',
    'dd',
    'nav',
    'h1',
    'h2',
    'h4',
  ],
  ...[
    'header',
    'footer',
    'main',
    'aside',
    'figure',
    'figcaption',

    'fieldset',
    'legend',
    'center',
  ],
  ...['form', 'address', 'hgroup', 'table', 'caption', 'tbody', 'tr', 'td', 'th', 'button', 'dialog', 'menu'],
];
const hiddenTags = [
  'script',
  'style',
  'template',
  'noscript',
  'iframe',
  'textarea',
  'video',
  'datalist',
  'noembed',
  'canvas',
];
const voidTags = [
  'br',
  'hr',
  'wbr',
  'img alt="rim"',
  'img',
  'input value="no"',
  'input type="image" alt="go"',
  'meta',
];
const attributes = fc.constantFrom(
  ...['', '', '', '', '', '', ' class="x"', ' hidden', ' style="display:none"', ' aria-hidden="true"'],
  ...[' style="display:block"', ' style="visibility:visible"'],
  ...[
    ' hidden="until-found"',
    ' hidden style="display:block"',
    ' style="display:inline-block"',
    ' style="display:nonsense"',
  ],
);

/** Of inline elements only: how blanks collapse beside a block that is not drawn differs between browsers. */
const inlineAttributes = fc.oneof(
  { weight: 9, arbitrary: attributes },
  fc.constant(' style="visibility: hidden"'),
);

const html = fc.letrec<{ node: string; nodes: string }>((tie) => ({
  nodes: fc.array(tie('node'), { maxLength: 4 }).map((list) => list.join('')),
  node: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    { weight: 6, arbitrary: words },
    { weight: 2, arbitrary: fc.constantFrom(' ', '\n', '<!-- comment -->') },
    { weight: 2, arbitrary: fc.constantFrom(...voidTags).map((tag) => `<${tag}>`) },
    {
      weight: 4,
      arbitrary: fc.tuple(fc.constantFrom(...inlineTags), inlineAttributes, tie('nodes')).map(element),
    },
    { weight: 7, arbitrary: fc.tuple(fc.constantFrom(...blockTags), attributes, tie('nodes')).map(element) },
    {
      weight: 1,
      arbitrary: fc
        .tuple(fc.constantFrom(...hiddenTags), fc.constantFrom('', ' class="x"', ' hidden'), words)
        .map(element),
    },
    {
      weight: 1,
      arbitrary: fc
        .tuple(words, tie('nodes'))
        .map(([title, inside]) => `<details><summary>${title}</summary>${inside}</details>`),
    },
    { weight: 1, arbitrary: words.map((text) => `<select><option>${text}</option><option>b</select>`) },
    { weight: 1, arbitrary: words.map((text) => `<svg><title>t</title><text>${text}</text>loose</svg>`) },
  ),
}));

function element([tag, attribute, inside]: [string, string, string]): string {
  return `<${tag}${attribute}>${inside}</${tag}>`;
}

export const wellFormedHtml: fc.Arbitrary<string> = html.nodes;

/** HTML with some tags of ordinary elements dropped or in the wrong place, as people write it. */
export const brokenHtml: fc.Arbitrary<string> = fc
  .tuple(
    html.nodes,
    fc.array(fc.nat(), { maxLength: 4 }),
    fc.array(fc.tuple(fc.nat(), fc.nat()), { maxLength: 2 }),
  )
  .map(([source, drops, swaps]) => {
    const pieces = source.split(/(?=<)|(?<=>)/);
    const isTag = (at: number) =>
      /^<\/?(?:b|i|em|a|span|code|font|p|div|section|ul|li|dl|dt|dd|h1|h2|table|tr|td|th|tbody|blockquote)[ >]/.test(
        pieces[at] ?? '',
      );
    for (const drop of drops) if (isTag(drop % pieces.length)) pieces[drop % pieces.length] = '';
    for (const [a, b] of swaps) {
      const [from, to] = [a % pieces.length, b % pieces.length];
      if (isTag(from) && isTag(to)) [pieces[from], pieces[to]] = [pieces[to]!, pieces[from]!];
    }
    return pieces.join('');
  });

const inlineMarkdown = fc.letrec<{ run: string; piece: string }>((tie) => ({
  run: fc.array(tie('piece'), { minLength: 1, maxLength: 4 }).map((list) => list.join(' ')),
  piece: fc.oneof(
    { depthSize: 'small' },
    { weight: 8, arbitrary: words },
    tie('run').map((run) => `*${run}*`),
    tie('run').map((run) => `**${run}**`),
    tie('run').map((run) => `[${run}](https://example.org "no")`),
    tie('run').map((run) => `[${run}][ref]`),
    words.map((text) => `![${text}](image.png)`),
    words.map((text) => `[![${text}](image.png) ${text}](link)`),
    words.map((text) => `\`${text}\``),
    words.map((text) => `<b>${text}</b>`),
    words.map((text) => `<span hidden>${text}</span>`),
    words.map((text) => `~~${text}~~`),
    fc.constantFrom(
      'a_b_c',
      '<https://example.org/x>',
      '\\*star\\*',
      'line  \nbreak',
      'a<br>b',
      '1 < 2',
      '[open',
      '](',
    ),
  ),
}));

/** CommonMark and GFM: blocks nested in quotes, lists and each other. */
export const markdown: fc.Arbitrary<string> = fc.letrec<{ blocks: string; block: string }>((tie) => ({
  blocks: fc.array(tie('block'), { minLength: 1, maxLength: 4 }).map((list) => list.join('\n\n')),
  block: fc.oneof(
    { depthSize: 'small' },
    { weight: 4, arbitrary: inlineMarkdown.run },
    fc
      .tuple(fc.integer({ min: 1, max: 6 }), inlineMarkdown.run)
      .map(([depth, run]) => `${'#'.repeat(depth)} ${run.replaceAll('\n', ' ')}`),
    inlineMarkdown.run.map((run) => `${run}\n---`),
    { weight: 2, arbitrary: tie('blocks').map((inside) => prefixed(inside, '> ', '> ')) },
    {
      weight: 2,
      arbitrary: fc
        .tuple(fc.constantFrom('- ', '* ', '1. ', '- [ ] ', '- [x] '), tie('blocks'), tie('blocks'))
        .map(([mark, a, b]) => `${item(mark, a)}\n${item(mark, b)}`),
    },
    words.map((text) => `\`\`\`js\n${text}\n  <b>${text}\n\`\`\``),
    words.map((text) => `    ${text}`),
    fc
      .tuple(words, inlineMarkdown.run, words)
      .map(([a, b, c]) => `| ${a} | h |\n|---|:-:|\n| ${b.replaceAll('\n', ' ')} | ${c} |\n| | x |`),
    inlineMarkdown.run.map((run) => `<div>\n\n${run}\n\n</div>`),
    words.map((text) => `<details><summary>${text}</summary>\n\n* ${text}\n\n</details>`),
    words.map((text) => `<p align="center"><img alt="${text}" src="x"></p>`),
    fc.constantFrom(
      '---',
      '[ref]: https://example.org "title"',
      '<!-- a comment\n\nover lines -->',
      '<script>\nvar a = 1;\n</script>',
    ),
  ),
})).blocks;

function item(mark: string, inside: string): string {
  const indent = ' '.repeat(mark.startsWith('1') ? 3 : 2);
  return prefixed(inside, mark, indent);
}

function prefixed(text: string, first: string, rest: string): string {
  return text
    .split('\n')
    .map((line, i) => (i === 0 ? first : rest) + line)
    .join('\n');
}
