import { Lexer, type Token, type Tokens } from 'marked';
import { parse as parseYaml } from 'yaml';
import { RowProblem } from './document-row.ts';
import { htmlToText } from './html.ts';
import { SectionWriter, type StructuredText } from './sections.ts';

export interface MarkdownText extends StructuredText {
  /** Names and values of the YAML front matter as parsed; empty without one. */
  readonly frontMatter: Readonly<Record<string, unknown>>;
}

const FRONT_MATTER = /^---[ \t]*\r?\n([\s\S]*?)(?:^|\r?\n)(?:---|\.\.\.)[ \t]*(?:\r?\n|$)/;

/** Characters of running text that are parsed for emphasis and links at once. */
const INLINE_CHARACTERS = 8_000;

/**
 * marked's inline rules take quadratic time on text like `_a_a_a`: a paragraph of a megabyte would block for minutes. Long
 * paragraphs are parsed in stretches cut at blanks, so only a link across such a cut is missed.
 */
class BoundedLexer extends Lexer {
  override inlineTokens(source: string, tokens: Token[] = []): Token[] {
    for (let at = 0; at < source.length; ) {
      let end = Math.min(source.length, at + INLINE_CHARACTERS);
      if (end < source.length) {
        const blank = Math.max(source.lastIndexOf(' ', end), source.lastIndexOf('\n', end));
        if (blank > at) end = blank + 1;
      }
      super.inlineTokens(source.slice(at, end), tokens);
      at = end;
    }
    return tokens;
  }
}

/**
 * Readable text of a Markdown file: links and emphasis give their words, code blocks and tables their content, HTML its
 * text. The title is the front matter's `title`, else the first heading.
 *
 * @throws RowProblem when the front matter is not YAML
 */
export function parseMarkdown(source: string): MarkdownText {
  const { frontMatter, body } = splitFrontMatter(source);
  const writer = new SectionWriter();
  for (const token of new BoundedLexer().lex(body)) writeBlock(token, writer);
  const title = typeof frontMatter.title === 'string' ? frontMatter.title.trim() : '';
  return { ...writer.finish(title), frontMatter };
}

function splitFrontMatter(source: string): { frontMatter: Record<string, unknown>; body: string } {
  const match = source.startsWith('---') ? FRONT_MATTER.exec(source) : null;
  if (!match) return { frontMatter: {}, body: source };
  let value: unknown;
  try {
    // The core schema keeps dates as text, and yaml refuses to blow up nested aliases.
    value = parseYaml(match[1]!, { schema: 'core', logLevel: 'error' });
  } catch (error) {
    const reason = (error as Error).message.split('\n')[0]!.slice(0, 120);
    throw new RowProblem('WINNOW_BAD_ROW', `the front matter is not YAML: ${reason}`);
  }
  // A text that merely starts with a rule ("---") has no mapping there and stays text.
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return { frontMatter: {}, body: source };
  return { frontMatter: value as Record<string, unknown>, body: source.slice(match[0].length) };
}

function writeBlock(token: Token, writer: SectionWriter): void {
  switch (token.type) {
    case 'heading':
      writer.heading((token as Tokens.Heading).depth, inlineText((token as Tokens.Heading).tokens));
      break;
    case 'code':
      writer.block((token as Tokens.Code).text);
      break;
    case 'blockquote':
      for (const inner of (token as Tokens.Blockquote).tokens) writeBlock(inner, writer);
      break;
    case 'list':
      writer.block((token as Tokens.List).items.map((item) => itemText(item)).join('\n'));
      break;
    case 'table': {
      const { header, rows } = token as Tokens.Table;
      const line = (cells: Tokens.TableCell[]) => cells.map((cell) => inlineText(cell.tokens)).join(' | ');
      writer.block([header, ...rows].map(line).join('\n'));
      break;
    }
    case 'html':
      writer.block(htmlToText(token.raw));
      break;
    case 'space':
    case 'hr':
    case 'def':
      break;
    default:
      writer.block(inlineText('tokens' in token && token.tokens ? token.tokens : [token]));
  }
}

function itemText(item: Tokens.ListItem): string {
  return item.tokens
    .map((token) => (token.type === 'list' ? listText(token as Tokens.List) : blockText(token)))
    .filter((text) => text !== '')
    .join('\n');
}

function listText(list: Tokens.List): string {
  return list.items.map(itemText).join('\n');
}

/** A block inside a list item as text; headings there are rare and count as text. */
function blockText(token: Token): string {
  if (token.type === 'list') return listText(token as Tokens.List);
  if (token.type === 'space') return '';
  if (token.type === 'code') return (token as Tokens.Code).text;
  if (token.type === 'html') return htmlToText(token.raw);
  return inlineText('tokens' in token && token.tokens ? token.tokens : [token]);
}

const ENTITIES: Record<string, string> = {
  '&amp;': '&',
  '&lt;': '<',
  '&gt;': '>',
  '&quot;': '"',
  '&#39;': "'",
};

function inlineText(tokens: readonly Token[]): string {
  let text = '';
  for (const token of tokens) {
    if (token.type === 'br') text += '\n';
    else if (token.type === 'html') text += /^<br\b/i.test(token.raw) ? '\n' : '';
    else if (token.type === 'image') text += (token as Tokens.Image).text;
    else if (token.type === 'codespan') text += (token as Tokens.Codespan).text;
    else if ('tokens' in token && token.tokens && token.tokens.length > 0) text += inlineText(token.tokens);
    else if ('text' in token && typeof token.text === 'string')
      text += token.text.replace(/&(?:amp|lt|gt|quot|#39);/g, (entity) => ENTITIES[entity]!);
  }
  return text;
}
