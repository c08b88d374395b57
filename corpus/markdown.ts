import MarkdownIt, {
  type Env,
  type MarkdownIt as Renderer,
  type StateBlock,
  type StateCore,
  type Token,
} from 'markdown-it';
import footnote from 'markdown-it-footnote';
import { splitFrontMatter } from './front-matter.ts';
import { parseHtml } from './html.ts';
import type { StructuredText, TextWarning } from './sections.ts';

export interface MarkdownText extends StructuredText {
  /** Names and values of the front matter as parsed, `title` excepted; empty without one. */
  readonly frontMatter: Readonly<Record<string, unknown>>;
  /** What was not read as front matter or markup; its words are in the text. */
  readonly warnings: readonly TextWarning[];
}

/** Levels of quotes and list items, a list item being two; each line is looked at once per level. */
const MAX_NESTING = 100;
/**
 * Characters of one paragraph that are parsed for emphasis, links and inline HTML at once. Some of these rules take
 * quadratic time: longer paragraphs are parsed in stretches cut at blanks, so only markup across a cut stays text.
 */
const INLINE_CHARACTERS = 16_384;

/**
 * Tests for the start of a block per line of a file. Ordinary files need two to six, and one more per level of nesting;
 * lines that markdown-it takes into a quote and then hands back again cost as many tests as there are lines.
 */
const TESTS_PER_LINE = 30;
const SPARE_TESTS = 10_000;

/** What the rules keep account of for one file. */
interface BoundedEnv extends Env {
  /** Line of the body where the nesting bound was met first. */
  deepLine?: number;
  /** Tests for the start of a block that are left; see {@link TESTS_PER_LINE}. */
  testsLeft: number;
}

class TooManyTests extends Error {}

/** A block rule that never matches, but counts how often the rules are tried. */
function countTest({ env }: StateBlock): boolean {
  const bounded = env as BoundedEnv;
  if (bounded.testsLeft-- <= 0) throw new TooManyTests();
  return false;
}

/** Block rules that read what is nested too deeply as a paragraph; markdown-it alone would drop it. */
class BoundedBlocks extends MarkdownIt.ParserBlock {
  override tokenize(state: StateBlock, startLine: number, endLine: number): void {
    if (state.level < MAX_NESTING) {
      super.tokenize(state, startLine, endLine);
      return;
    }
    const first = state.skipEmptyLines(startLine);
    let end = first;
    while (end < endLine && (state.isEmpty(end) || state.sCount[end]! >= state.blkIndent)) end++;
    state.line = end;
    if (end <= first) return;
    const env = state.env as BoundedEnv;
    env.deepLine ??= first + 1;
    state.push('paragraph_open', 'p', 1);
    const inline = state.push('inline', '', 0);
    inline.content = state.getLines(first, end, state.blkIndent, false);
    inline.children = [];
    state.push('paragraph_close', 'p', -1);
  }
}

class BoundedInlines extends MarkdownIt.ParserInline {
  override parse(source: string, md: Renderer, env: Env, tokens: Token[]): void {
    for (let at = 0; at < source.length; ) {
      let end = Math.min(source.length, at + INLINE_CHARACTERS);
      if (end < source.length) {
        const stretch = source.slice(at, end);
        const blank = Math.max(stretch.lastIndexOf(' '), stretch.lastIndexOf('\n'));
        if (blank > 0) end = at + blank + 1;
      }
      super.parse(source.slice(at, end), md, env, tokens);
      at = end;
    }
  }
}

/** `[ ]` and `[x]` of a task list are boxes, not words. */
function removeTaskBoxes({ tokens }: StateCore): void {
  for (const [i, token] of tokens.entries())
    if (
      token.type === 'inline' &&
      tokens[i - 1]?.type === 'paragraph_open' &&
      tokens[i - 2]?.type === 'list_item_open'
    )
      token.content = token.content.replace(/^\[[ xX]\](?=\s)/, '');
}

function createRenderer(): Renderer {
  const md = new MarkdownIt();
  md.block = new BoundedBlocks();
  md.inline = new BoundedInlines();
  md.set({ html: true, maxNesting: MAX_NESTING });
  // Link targets are not text: neither checked nor encoded.
  md.validateLink = () => true;
  md.normalizeLink = (url) => url;
  md.normalizeLinkText = (url) => url;
  md.block.ruler.before('table', 'count_test', countTest, {
    alt: ['paragraph', 'reference', 'blockquote', 'list', 'table'],
  });
  md.core.ruler.before('inline', 'task_boxes', removeTaskBoxes);
  md.use(footnote);
  // A footnote stays where it is written, whether or not something refers to it, and its marks are no text.
  md.disable(['footnote_tail', 'footnote_inline']);
  for (const name of ['footnote_reference_open', 'footnote_reference_close', 'footnote_ref'])
    md.renderer.rules[name] = () => '\n';
  return md;
}

const renderer = createRenderer();

/**
 * The words of a Markdown file (CommonMark with GFM's tables, task lists and strikethrough, and footnotes) as a browser
 * shows it rendered: see {@link parseHtml}. The title is the front matter's `title`, else the first heading. Nothing is
 * rejected: slips in the front matter, quotes nested too deeply and files that would take quadratic time are reported as
 * warnings, with their line, and read as plain text.
 */
export function parseMarkdown(source: string): MarkdownText {
  const front = splitFrontMatter(source);
  const { page, bounds } = render(front.body, front.lines);
  const { warnings, ...structured } = parseHtml(page, { xhtml: false, fromMarkdown: true });
  return {
    ...structured,
    title: front.title || structured.title,
    frontMatter: front.values,
    warnings: [...front.warnings, ...bounds, ...warnings],
  };
}

/** @returns the rendered page, and where a bound was met; `linesBefore` lines of the file come before `body` */
function render(body: string, linesBefore: number): { page: string; bounds: TextWarning[] } {
  const env: BoundedEnv = { testsLeft: TESTS_PER_LINE * countLines(body) + SPARE_TESTS };
  try {
    const page = renderer.render(body, env);
    if (env.deepLine === undefined) return { page, bounds: [] };
    const message = `quotes and lists nested deeper than ${MAX_NESTING} levels were read as plain text`;
    return { page, bounds: [{ line: linesBefore + env.deepLine, message }] };
  } catch (error) {
    if (!(error instanceof TooManyTests)) throw error;
    const message =
      'quotes and lists that run into each other would take too long: the file was read as plain text';
    const lines = body
      .split('\n')
      .map((line) => (line.trim() === '' ? '<hr>' : renderer.utils.escapeHtml(line)));
    const page = lines.join('\n');
    return { page, bounds: [{ line: linesBefore + 1, message }] };
  }
}

function countLines(text: string): number {
  let lines = 1;
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) lines++;
  return lines;
}
