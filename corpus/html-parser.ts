import { type DefaultTreeAdapterMap, defaultTreeAdapter, html, Parser, Token, TokenizerMode } from 'parse5';

/** How a page is read where that is not HTML as a browser reads it. */
export interface HtmlOptions {
  /** Elements may close themselves (`<script/>`) and text may be in CDATA sections, as in XHTML and EPUB. */
  readonly xhtml?: boolean;
  /**
   * The page was rendered from Markdown, where people write `<title>` in running text and mean the word: elements whose
   * content browsers hide count only where they are closed.
   */
  readonly fromMarkdown?: boolean;
}

export interface ParsedHtml {
  readonly document: DefaultTreeAdapterMap['document'];
  /** Some elements were nested deeper than {@link MAX_DEPTH} and are siblings in the tree. */
  readonly flattened: boolean;
}

/** Elements that may be open at once, as in Chromium; the parser's time per tag grows with them. */
export const MAX_DEPTH = 512;

/** Elements whose content is text up to their own closing tag, so they cannot be nested. */
const RAW_TEXT = ['iframe', 'noembed', 'noframes', 'noscript', 'textarea', 'title', 'xmp'];
/** What hides the rest of the page when it is never closed: then the tag is ignored and the rest is read. */
const HIDES_UNTIL_CLOSED = new Set([
  ...RAW_TEXT,
  ...['audio', 'canvas', 'datalist', 'meter', 'progress', 'select', 'svg', 'template', 'video'],
]);
/** In Markdown also code: a README that names the <script> tag without backticks has text after it. */
const CODE = new Set(['script', 'style']);
/** In Markdown never markup, closed or not. */
const WORDS_IN_MARKDOWN = new Set(['title', 'textarea', 'xmp', 'plaintext']);
const CLOSING_TAG =
  /<\/(audio|canvas|datalist|iframe|meter|noembed|noframes|noscript|progress|script|select|style|svg|template|textarea|title|video|xmp)(?=[\s/>])/gi;

/**
 * parse5's tree construction, which is that of the HTML standard, with bounds on depth and growth: a page of n
 * characters takes time and memory in O(n), whatever is in it. No text is lost to a bound.
 */
class BoundedParser extends Parser<DefaultTreeAdapterMap> {
  flattened = false;
  readonly #source: string;
  readonly #options: HtmlOptions;
  #lastClosing: Map<string, number> | undefined;
  #tags = 0;
  #elements = 0;

  constructor(source: string, options: HtmlOptions) {
    super({
      treeAdapter: {
        ...defaultTreeAdapter,
        createElement: (name, namespace, attributes) => {
          this.#elements++;
          return defaultTreeAdapter.createElement(name, namespace, attributes);
        },
      },
    });
    this.#source = source;
    this.#options = options;
  }

  override onStartTag(token: Token.TagToken): void {
    this.#tags++;
    if (this.#isIgnored(token.tagName)) return;
    if (this.openElements.stackTop >= MAX_DEPTH) {
      if (!RAW_TEXT.includes(token.tagName) && !CODE.has(token.tagName)) {
        this.flattened = true;
        super.onStartTag(lineBreak);
        return;
      }
    }
    // Unclosed <b>, <font> and their like are opened again in each paragraph, so a page could grow without bound.
    if (this.#elements > 4 * this.#tags + 1_000) this.activeFormattingElements.clearToLastMarker();
    super.onStartTag(token);
    // parse5 acknowledges void and foreign elements itself.
    if (this.#options.xhtml && token.selfClosing && !token.ackSelfClosing) {
      this.tokenizer.state = TokenizerMode.DATA;
      this.onEndTag({ ...token, type: Token.TokenType.END_TAG, selfClosing: false, attrs: [] });
    }
  }

  #isIgnored(name: string): boolean {
    const { fromMarkdown } = this.#options;
    if (fromMarkdown && WORDS_IN_MARKDOWN.has(name)) return true;
    return (
      (HIDES_UNTIL_CLOSED.has(name) || (fromMarkdown === true && CODE.has(name))) && !this.#isClosed(name)
    );
  }

  /** Whether a closing tag of that name lies ahead. */
  #isClosed(name: string): boolean {
    if (!this.#lastClosing) {
      this.#lastClosing = new Map();
      for (const match of this.#source.matchAll(CLOSING_TAG))
        this.#lastClosing.set(match[1]!.toLowerCase(), match.index);
    }
    const { offset } = this.tokenizer.preprocessor;
    return (this.#lastClosing.get(name) ?? -1) >= offset;
  }
}

/** Replaces an element that is too deep to open: it separates words as the element might. */
const lineBreak: Token.TagToken = {
  type: Token.TokenType.START_TAG,
  tagName: 'br',
  tagID: html.TAG_ID.BR,
  selfClosing: false,
  ackSelfClosing: false,
  attrs: [],
  location: null,
};

/** The tree that a browser builds from a page with scripts on. Broken markup is never an error. */
export function parseHtmlTree(source: string, options: HtmlOptions): ParsedHtml {
  const page = options.xhtml ? withoutXmlSyntax(source) : source;
  const parser = new BoundedParser(page, options);
  parser.tokenizer.write(page, true);
  return { document: parser.document, flattened: parser.flattened };
}

/** CDATA sections as escaped text, and no internal subset of a DOCTYPE, whose `]>` HTML takes for text. */
function withoutXmlSyntax(source: string): string {
  const parts: string[] = [];
  let at = 0;
  const doctype = /<!DOCTYPE[^[>]{0,1000}\[[^\]]*\]\s{0,100}>/i.exec(source.slice(0, 20_000));
  if (doctype) {
    parts.push(source.slice(0, doctype.index));
    at = doctype.index + doctype[0].length;
  }
  for (;;) {
    const start = source.indexOf('<![CDATA[', at);
    const end = start < 0 ? -1 : source.indexOf(']]>', start);
    if (end < 0) break;
    const text = source
      .slice(start + 9, end)
      .replaceAll('&', '&amp;')
      .replaceAll('<', '&lt;');
    parts.push(source.slice(at, start), text);
    at = end + 3;
  }
  parts.push(source.slice(at));
  return parts.join('');
}
