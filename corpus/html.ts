import { type DefaultTreeAdapterMap, html } from 'parse5';
import { type HtmlOptions, MAX_DEPTH, parseHtmlTree } from './html-parser.ts';
import { Break, SectionWriter, type StructuredText, type TextWarning } from './sections.ts';

export interface HtmlText extends StructuredText {
  /** What was not read as markup; its words are in the text. */
  readonly warnings: readonly TextWarning[];
}

type Node = DefaultTreeAdapterMap['childNode'];
type Element = DefaultTreeAdapterMap['element'];

/** Elements whose content a browser does not show. */
const HIDDEN = new Set(
  (
    'audio base basefont canvas datalist head iframe link meta meter noembed noframes noscript param progress rp ' +
    'script style template textarea title video'
  ).split(' '),
);
/** Elements with lines of their own, set off by an empty line. */
const PARAGRAPHS = new Set(
  (
    'address article aside blockquote body center details dialog dir div dl fieldset figcaption figure footer form ' +
    'frameset h1 h2 h3 h4 h5 h6 header hgroup hr html listing main menu nav ol p plaintext pre search section select ' +
    'table ul xmp'
  ).split(' '),
);
const LINES = new Set('br caption dd dt legend li optgroup option summary tbody tfoot thead tr'.split(' '));
const LISTS = new Set('dir dl menu ol ul'.split(' '));
/** Boxes within a line: they separate the words before and after them. */
const BOXES = new Set(
  'area audio button canvas embed iframe img input meter object progress textarea video'.split(' '),
);
const PREFORMATTED = new Set('listing plaintext pre xmp'.split(' '));
const HEADING = /^h([1-6])$/;

/** What holds for the text inside an element. */
interface Context {
  /** Not shown, and nothing inside can be. */
  readonly hidden: boolean;
  /** `visibility`, which an element inside may switch on again. */
  readonly invisible: boolean;
  readonly preformatted: boolean;
  /** Of a <select> only the options are shown, of an <svg> only its texts; undefined outside of both. */
  readonly only: 'option' | 'text' | undefined;
  readonly inList: boolean;
}

/**
 * The words that a browser shows of an HTML page or fragment, with h1..h6 as headings, and images by their alternative
 * texts. <details> count as open; style sheets and scripts do not run. A page that declares itself XHTML is read as such.
 * Broken markup is read as a browser would read it, except that an unclosed element hides nothing. Time is linear
 * in the length of the page.
 */
export function parseHtml(source: string, options: HtmlOptions = {}): HtmlText {
  const { document, flattened } = parseHtmlTree(source, { xhtml: isXhtml(source), ...options });
  const writer = new SectionWriter();
  const title = new TreeReader(writer).read(document);
  const warnings = flattened
    ? [{ line: 1, message: `elements nested deeper than ${MAX_DEPTH} were read as running text` }]
    : [];
  return { ...writer.finish(title), warnings };
}

/** An XML declaration or the XHTML namespace near the start. */
function isXhtml(source: string): boolean {
  const start = source.slice(0, 4_000);
  return (
    /^\s*<\?xml\s/.test(start) ||
    /<html\s[^>]*xmlns\s*=\s*["']http:\/\/www\.w3\.org\/1999\/xhtml["']/i.test(start)
  );
}

/** Walks a tree in document order without recursion, as pages may be nested deeply. */
class TreeReader {
  readonly #writer: SectionWriter;
  #title: string | undefined;

  constructor(writer: SectionWriter) {
    this.#writer = writer;
  }

  /** @returns the content of the first <title>, or '' */
  read(document: DefaultTreeAdapterMap['document']): string {
    const root: Context = {
      hidden: false,
      invisible: false,
      preformatted: false,
      only: undefined,
      inList: false,
    };
    const open: {
      element: Element | undefined;
      children: readonly Node[];
      next: number;
      context: Context;
    }[] = [{ element: undefined, children: document.childNodes, next: 0, context: root }];
    while (open.length > 0) {
      const top = open.at(-1)!;
      const node = top.children[top.next++];
      if (node === undefined) {
        if (top.element && !top.context.invisible) this.#edge(top.element, open.at(-2)!.context, 'end');
        open.pop();
      } else if ('value' in node) {
        const { hidden, invisible, only, preformatted } = top.context;
        if (!hidden && !invisible && only === undefined) this.#writer.append(node.value, preformatted);
      } else if ('tagName' in node) {
        if (node.tagName === 'title' && node.namespaceURI === html.NS.HTML) this.#title ??= textOf(node);
        const context = contextOf(node, top.context);
        if (context.hidden && !top.context.hidden && BOXES.has(node.tagName))
          this.#writer.separate(Break.Word);
        if (!context.hidden && !context.invisible) this.#edge(node, top.context, 'start');
        // A hidden tree is walked as well: the title may be in it.
        open.push({
          element: context.hidden ? undefined : node,
          children: node.childNodes,
          next: 0,
          context,
        });
      }
    }
    return (this.#title ?? '').replace(/\s+/g, ' ').trim();
  }

  /** What the start or end of a shown element does to the text around it. */
  #edge(element: Element, outside: Context, side: 'start' | 'end'): void {
    const { tagName, namespaceURI } = element;
    const writer = this.#writer;
    const kind = breakOf(element, outside);
    const heading = namespaceURI === html.NS.HTML && kind >= Break.Line ? HEADING.exec(tagName) : null;
    if (heading) {
      if (side === 'start') writer.startHeading(Number(heading[1]));
      else writer.endHeading();
      return;
    }
    writer.separate(kind);
    if (side === 'start' && isImage(element)) {
      if (outside.only === undefined) writer.append(attribute(element, 'alt') ?? '', outside.preformatted);
      writer.separate(Break.Word);
    }
  }
}

/** What has an alternative text. */
function isImage({ tagName, attrs }: Element): boolean {
  if (tagName === 'input') return attrs.some(({ name, value }) => name === 'type' && value === 'image');
  return tagName === 'img' || tagName === 'area';
}

function breakOf(element: Element, outside: Context): Break {
  const { tagName, namespaceURI } = element;
  if (namespaceURI === html.NS.MATHML) return Break.Line;
  if (namespaceURI === html.NS.SVG)
    return tagName === 'text' ? Break.Line : tagName === 'svg' ? Break.Word : Break.None;
  const { display } = inlineStyle(element);
  // A dialog is positioned, and with that a box of its own; a <p> is a paragraph in any case.
  if ((display === 'inline' || display === 'contents') && tagName !== 'dialog' && tagName !== 'p')
    return BOXES.has(tagName) ? Break.Word : Break.None;
  if (display?.startsWith('inline-')) return Break.Word;
  if ((tagName === 'td' || tagName === 'th') && (display ?? 'table-cell') === 'table-cell') return Break.Cell;
  if (LISTS.has(tagName) && outside.inList) return Break.Line;
  if (LINES.has(tagName)) return Break.Line;
  if (PARAGRAPHS.has(tagName)) return Break.Paragraph;
  if (display !== undefined) return Break.Line;
  return BOXES.has(tagName) ? Break.Word : Break.None;
}

function contextOf(element: Element, outside: Context): Context {
  const { tagName, namespaceURI } = element;
  if (namespaceURI === html.NS.SVG) return { ...outside, ...svgContext(element, outside) };
  const isHtml = namespaceURI === html.NS.HTML;
  const { display, visibility } = inlineStyle(element);
  const hidden =
    outside.hidden ||
    display === 'none' ||
    (isHtml
      ? HIDDEN.has(tagName) || isHiddenByAttribute(element, display)
      : tagName.startsWith('annotation'));
  let { only } = outside;
  if (tagName === 'select' && isHtml) only = 'option';
  else if (tagName === only || only === 'text') only = undefined;
  return {
    hidden: hidden && tagName !== 'html' && tagName !== 'body',
    invisible: visibility === undefined ? outside.invisible : visibility !== 'visible',
    preformatted: outside.preformatted || PREFORMATTED.has(tagName),
    only,
    inList: outside.inList || (isHtml && (tagName === 'li' || tagName === 'dd')),
  };
}

function svgContext(element: Element, outside: Context): Partial<Context> {
  const { display, visibility } = inlineStyle(element);
  const silent = ['desc', 'metadata', 'script', 'style', 'title'].includes(element.tagName);
  const only = element.tagName === 'text' ? undefined : element.tagName === 'svg' ? 'text' : outside.only;
  return {
    hidden: outside.hidden || silent || display === 'none',
    invisible: visibility === undefined ? outside.invisible : visibility !== 'visible',
    only,
  };
}

/** `hidden`, but not `hidden="until-found"`, which finding shows; a closed <dialog>. A `display` overrules both. */
function isHiddenByAttribute(element: Element, display: string | undefined): boolean {
  if (display !== undefined) return false;
  if (element.tagName === 'dialog' && attribute(element, 'open') === undefined) return true;
  if (element.tagName === 'input' && attribute(element, 'type')?.toLowerCase() === 'hidden') return true;
  const value = attribute(element, 'hidden');
  return value !== undefined && value.toLowerCase() !== 'until-found';
}

const DISPLAYS =
  /^(?:none|contents|inline|block|flow-root|list-item|flex|grid|table|table-[a-z-]+|inline-(?:block|flex|grid|table))$/;

/** `display` and `visibility` of a style attribute, where the values are such that a browser takes them. */
function inlineStyle(element: Element): { display?: string; visibility?: string } {
  const style = element.attrs.length === 0 ? undefined : attribute(element, 'style');
  const found: { display?: string; visibility?: string } = {};
  if (style === undefined || !/display|visibility/i.test(style)) return found;
  for (const declaration of withoutComments(style).toLowerCase().split(';')) {
    const colon = declaration.indexOf(':');
    const name = declaration.slice(0, colon).trim();
    const value = declaration
      .slice(colon + 1)
      .trim()
      .split(/\s|!/, 1)[0]!;
    if (name === 'display' && DISPLAYS.test(value)) found.display = value;
    if (name === 'content-visibility' && value === 'hidden') found.display = 'none';
    if (name === 'visibility' && /^(?:visible|hidden|collapse)$/.test(value)) found.visibility = value;
  }
  return found;
}

function withoutComments(style: string): string {
  let text = '';
  let at = 0;
  for (let start = style.indexOf('/*'); start >= 0; start = style.indexOf('/*', at)) {
    text += style.slice(at, start);
    const end = style.indexOf('*/', start + 2);
    if (end < 0) return text;
    at = end + 2;
  }
  return text + style.slice(at);
}

function attribute(element: Element, name: string): string | undefined {
  return element.attrs.find((attr) => attr.name === name)?.value;
}

function textOf(element: Element): string {
  return element.childNodes.map((node) => ('value' in node ? node.value : '')).join('');
}
