/**
 * A stretch of a document's text under one heading: `text.slice(start, end)` without the heading line itself, which
 * lies before `start`. Sections are in order, do not overlap, and leave out nothing but heading lines and blanks.
 */
export interface Section {
  /** Headings above this text, outermost first; empty before the first heading. */
  readonly headings: readonly string[];
  readonly start: number;
  readonly end: number;
}

/** Plain text with its headings, as read from Markdown or HTML. */
export interface StructuredText {
  /** From the first heading or the <title>; empty where there is none. */
  readonly title: string;
  readonly text: string;
  readonly sections: readonly Section[];
}

/** Something in a file that could not be read as what it seems to be; no words of the text are lost. */
export interface TextWarning {
  /** Line of the file, from 1. */
  readonly line: number;
  readonly message: string;
}

/** What separates two pieces of text, the stronger one wins. */
export const Break = { None: 0, Word: 1, Cell: 2, Line: 3, Paragraph: 4 } as const;
export type Break = (typeof Break)[keyof typeof Break];

/** By {@link Break}; a paragraph inside a heading does not end it. */
const SEPARATORS = ['', ' ', ' | ', '\n', ' '] as const;

/** Collects running text, breaks and headings in reading order and records the sections. */
export class SectionWriter {
  readonly #parts: string[] = [];
  #length = 0;
  readonly #sections: Section[] = [];
  readonly #path: { depth: number; heading: string }[] = [];
  #sectionStart = 0;
  #firstHeading = '';

  /** The paragraph or heading that is being written. */
  #run: string[] = [];
  /** What comes before the next piece of text; nothing at the start of a run. */
  #break: Break = Break.None;
  #headingDepth = 0;

  /** Adds running text. White space is folded unless preformatted. Requested breaks come before it. */
  append(text: string, preformatted = false): void {
    const piece = preformatted ? text : text.replace(/\s+/g, ' ');
    const blank = piece.trim() === '';
    if (blank && (!preformatted || this.#run.length === 0)) {
      if (piece !== '') this.separate(Break.Word);
      return;
    }
    if (preformatted) {
      this.#push(piece);
      return;
    }
    if (piece.startsWith(' ')) this.separate(Break.Word);
    this.#push(piece.trim());
    if (piece.endsWith(' ')) this.separate(Break.Word);
  }

  /** Requests a break before the next text. Of several requests the strongest counts. */
  separate(kind: Break): void {
    if (kind === Break.Paragraph && this.#headingDepth === 0) this.#flush();
    else if (this.#run.length > 0 && kind > this.#break) this.#break = kind;
  }

  /** Starts a heading, and with it a section. @param depth 1 is the outermost */
  startHeading(depth: number): void {
    this.#flush();
    this.#headingDepth = depth;
  }

  endHeading(): void {
    this.#flush();
    this.#headingDepth = 0;
  }

  /** @param title used instead of the first heading when not empty */
  finish(title = ''): StructuredText {
    this.endHeading();
    this.#closeSection();
    return { title: title || this.#firstHeading, text: this.#parts.join(''), sections: this.#sections };
  }

  #push(piece: string): void {
    this.#run.push(SEPARATORS[this.#break], piece);
    this.#break = Break.None;
  }

  #flush(): void {
    if (this.#run.length === 0) return;
    const run = this.#run.join('');
    this.#run = [];
    this.#break = Break.None;
    if (this.#headingDepth > 0) this.#writeHeading(run.replace(/\s+/g, ' ').trim());
    else this.#write(trimLines(run));
  }

  #writeHeading(heading: string): void {
    if (heading === '') return;
    const depth = this.#headingDepth;
    this.#closeSection();
    while (this.#path.length > 0 && this.#path.at(-1)!.depth >= depth) this.#path.pop();
    this.#path.push({ depth, heading });
    if (this.#firstHeading === '') this.#firstHeading = heading;
    this.#write(heading);
    this.#sectionStart = this.#length;
  }

  #write(text: string): void {
    if (text === '') return;
    const piece = this.#length === 0 ? text : `\n\n${text}`;
    this.#parts.push(piece);
    this.#length += piece.length;
  }

  #closeSection(): void {
    if (this.#length > this.#sectionStart)
      this.#sections.push({
        headings: this.#path.map(({ heading }) => heading),
        start: this.#sectionStart,
        end: this.#length,
      });
  }
}

/** Without blanks at the ends of lines, where preformatted text may have thousands. */
function trimLines(text: string): string {
  return text
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n')
    .trim();
}
