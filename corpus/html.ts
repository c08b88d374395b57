import { Parser } from 'htmlparser2';
import { SectionWriter, type StructuredText } from './sections.ts';

/** Elements whose content nobody reads as text. */
const SILENT = new Set([
  'script',
  'style',
  'template',
  'noscript',
  'svg',
  'math',
  'iframe',
  'object',
  'select',
  'nav',
]);
/** Elements that end a line of running text. */
const BLOCKS = new Set(
  (
    'address article aside blockquote body br caption dd details dialog div dl dt fieldset figcaption figure footer ' +
    'form h1 h2 h3 h4 h5 h6 header hr html li main ol option p pre section summary table tbody td tfoot th thead tr ul'
  ).split(' '),
);
const HEADING = /^h([1-6])$/;

/**
 * Readable text of an HTML page or fragment: entities decoded, white space folded except in <pre>, scripts, styles and
 * navigation left out, h1..h6 as headings. Broken markup is read as a browser would, never refused.
 */
export function parseHtml(html: string): StructuredText {
  const writer = new SectionWriter();
  let run = '';
  let title = '';
  let inTitle = false;
  let silentDepth = 0;
  let preDepth = 0;
  let headingDepth = 0;

  const flush = () => {
    const text = preDepth > 0 ? run.replace(/[ \t]+$/gm, '') : run.replace(/\s+/g, ' ');
    run = '';
    if (headingDepth > 0) writer.heading(headingDepth, text);
    else writer.block(text);
  };

  const parser = new Parser(
    {
      onopentag(name) {
        if (name === 'title') inTitle = true;
        if (SILENT.has(name)) silentDepth++;
        if (!BLOCKS.has(name)) return;
        if (headingDepth > 0 && name === 'br') {
          run += ' ';
          return;
        }
        flush();
        if (name === 'pre') preDepth++;
        const heading = HEADING.exec(name);
        if (heading) headingDepth = Number(heading[1]);
      },
      ontext(text) {
        if (inTitle && silentDepth === 0) title += text;
        else if (silentDepth === 0) run += text;
      },
      onclosetag(name) {
        if (name === 'title') inTitle = false;
        if (SILENT.has(name)) silentDepth = Math.max(0, silentDepth - 1);
        if (!BLOCKS.has(name) || name === 'br') return;
        flush();
        if (name === 'pre') preDepth = Math.max(0, preDepth - 1);
        if (HEADING.test(name)) headingDepth = 0;
      },
    },
    { decodeEntities: true, lowerCaseTags: true },
  );
  parser.write(html);
  parser.end();
  flush();
  return writer.finish(title.replace(/\s+/g, ' ').trim());
}

/** The text of an HTML fragment on one line, for markup inside Markdown. */
export function htmlToText(html: string): string {
  return parseHtml(html).text.replace(/\s+/g, ' ').trim();
}
