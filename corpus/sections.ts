/**
 * A stretch of a document's text under one heading: `text.slice(start, end)` without the heading line itself, which
 * lies before `start`. Sections are in order, do not overlap, and leave out nothing but heading lines and blanks.
 */
export interface Section {
  /** Headings from the outermost to the one this text stands under; empty before the first heading. */
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

/** Collects blocks of text and headings in reading order and keeps account of the sections. */
export class SectionWriter {
  #parts: string[] = [];
  #length = 0;
  #sections: Section[] = [];
  #path: { depth: number; heading: string }[] = [];
  #sectionStart = 0;
  #firstHeading = '';

  /** The first heading seen so far, or ''. */
  get firstHeading(): string {
    return this.#firstHeading;
  }

  /** Adds a paragraph, list or other block; blocks are separated by an empty line. */
  block(text: string): void {
    const trimmed = text.trim();
    if (trimmed !== '') this.#append(trimmed);
  }

  /** Starts a section. @param depth 1 is the outermost */
  heading(depth: number, text: string): void {
    const heading = text.replace(/\s+/g, ' ').trim();
    if (heading === '') return;
    this.#closeSection();
    while (this.#path.length > 0 && this.#path.at(-1)!.depth >= depth) this.#path.pop();
    this.#path.push({ depth, heading });
    if (this.#firstHeading === '') this.#firstHeading = heading;
    this.#append(heading);
    this.#sectionStart = this.#length;
  }

  /** @param title used instead of the first heading when not empty */
  finish(title = ''): StructuredText {
    this.#closeSection();
    return { title: title || this.#firstHeading, text: this.#parts.join(''), sections: this.#sections };
  }

  #append(text: string): void {
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
