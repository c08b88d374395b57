import { WinnowError } from '../errors.ts';
import type { Section } from './sections.ts';
import type { CorpusDocument } from './types.ts';

export interface PassageOptions {
  /**
   * WordPiece tokens of a text, special tokens not counted. It must not grow when texts are joined by white space:
   * count(a + " " + b) <= count(a) + count(b).
   */
  readonly countTokens: (text: string) => number;
  /** Most tokens of title and text together, >= 16; default 510, the 512-token window less [CLS] and [SEP]. */
  readonly maxTokens?: number;
  /** Tokens repeated from the end of one passage at the start of the next, 0..maxTokens/2; default 48. */
  readonly overlapTokens?: number;
  /** Neighbouring sections under this many tokens share a passage, 0..maxTokens; default maxTokens/4. */
  readonly mergeTokens?: number;
}

/** A piece of text that is never cut: `text.slice(start, end)`, trailing blanks included. */
interface Unit {
  readonly start: number;
  readonly end: number;
  readonly tokens: number;
}

/** Intl.Segmenter gets at most this many characters at a time, so that time stays linear in the text. */
const BLOCK_CHARACTERS = 16_384;
/** A run without white space is cut into pieces of this many characters: longer words are one [UNK] anyway. */
const RUN_CHARACTERS = 96;

let segmenter: Intl.Segmenter | undefined;

/** Made when first needed, since that takes 10 ms, which a search need not wait for. */
function sentences(): Intl.Segmenter {
  segmenter ??= new Intl.Segmenter('en', { granularity: 'sentence' });
  return segmenter;
}

/**
 * Cuts a document into passages that fit the encoder's window. A document that fits comes back as it is. Otherwise each
 * passage is a document with the parent's id and metadata and its ordinal, from 0, as `passage`; its title is the parent's
 * title followed by the headings above it ("Guide > Install > Linux"). Cuts fall between sections, else between paragraphs,
 * sentences or words, and inside a run without blanks only as a last resort. Passages of one section overlap by whole sentences.
 * Every character that is not blank or a heading is in some passage.
 *
 * @param sections stretches of `document.text` under headings; absent: the whole text is one section
 * @throws WinnowError WINNOW_BAD_ARGUMENT for a limit out of range
 */
export function splitPassages(
  document: CorpusDocument,
  options: PassageOptions,
  sections?: readonly Section[],
): CorpusDocument[] {
  const { countTokens } = options;
  const maxTokens = integerOption('maxTokens', options.maxTokens ?? 510, 16, Number.MAX_SAFE_INTEGER);
  const overlapTokens = integerOption(
    'overlapTokens',
    options.overlapTokens ?? Math.min(48, maxTokens >> 2),
    0,
    maxTokens >> 1,
  );
  const mergeTokens = integerOption('mergeTokens', options.mergeTokens ?? maxTokens >> 2, 0, maxTokens);
  const { id, title, text, metadata } = document;
  if (countTokens(title) + countTokens(text) <= maxTokens) return [document];

  const passages: CorpusDocument[] = [];
  for (const group of groupSections(sections ?? [{ headings: [], start: 0, end: text.length }], text, {
    countTokens,
    mergeTokens,
  })) {
    const passageTitle = fitTitle(joinTitle(title, group.headings), maxTokens >> 1, countTokens);
    const budget = maxTokens - countTokens(passageTitle);
    for (const [start, end] of packUnits(text, group.start, group.end, {
      countTokens,
      budget,
      overlapTokens,
    })) {
      // Long runs of blanks inside a passage carry no information and could be megabytes.
      const passage = text
        .slice(start, end)
        .trim()
        .replace(/\s+/g, (run) => (run.length < 64 ? run : '\n\n'));
      if (passage === '') continue;
      passages.push({ id, passage: passages.length, title: passageTitle, text: passage, metadata });
    }
  }
  // A title alone over the window, without a text: nothing to cut.
  return passages.length > 0 ? passages : [document];
}

function integerOption(name: string, value: number, least: number, most: number): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new WinnowError('WINNOW_BAD_ARGUMENT', `must be an integer in ${least}..${most}, not ${value}`, {
    place: name,
  });
}

/** The title and the heading path below it; a first heading that repeats the title is said once. */
function joinTitle(title: string, headings: readonly string[]): string {
  const path = headings[0] === title ? headings.slice(1) : headings;
  return [title, ...path].filter((part) => part !== '').join(' > ');
}

/** The longest prefix of whole words within the budget; most titles fit as they are. */
function fitTitle(title: string, budget: number, countTokens: (text: string) => number): string {
  if (countTokens(title) <= budget) return title;
  let used = 0;
  let end = 0;
  for (const word of title.matchAll(/\S+/g)) {
    used += countTokens(word[0]);
    if (used > budget) break;
    end = word.index + word[0].length;
  }
  return title.slice(0, end);
}

/** Joins small neighbouring sections; a joined stretch keeps the inner heading lines as text and the common path. */
function groupSections(
  sections: readonly Section[],
  text: string,
  { countTokens, mergeTokens }: { countTokens: (text: string) => number; mergeTokens: number },
): Section[] {
  const groups: Section[] = [];
  let groupTokens = 0;
  for (const section of sections) {
    const last = groups.at(-1);
    const tokens = countTokens(text.slice(last?.end ?? section.start, section.end));
    if (last && groupTokens < mergeTokens && tokens < mergeTokens) {
      groups[groups.length - 1] = {
        headings: commonPrefix(last.headings, section.headings),
        start: startWithHeading(last, section, text),
        end: section.end,
      };
      groupTokens += tokens;
    } else {
      groups.push(section);
      groupTokens = tokens;
    }
  }
  return groups;
}

function commonPrefix(a: readonly string[], b: readonly string[]): readonly string[] {
  let shared = 0;
  while (shared < a.length && shared < b.length && a[shared] === b[shared]) shared++;
  return a.slice(0, shared);
}

/** When merging drops the first section's own heading from the path, its heading line joins the text instead. */
function startWithHeading(first: Section, second: Section, text: string): number {
  const own = first.headings.at(-1);
  if (own === undefined || commonPrefix(first.headings, second.headings).length === first.headings.length)
    return first.start;
  const headingStart = text.lastIndexOf(own, first.start - 1);
  return headingStart >= 0 && headingStart + own.length === first.start ? headingStart : first.start;
}

/** Fills passages with whole units. @returns [start, end) ranges that together cover [start, end) of the text */
function* packUnits(
  text: string,
  start: number,
  end: number,
  limits: { countTokens: (text: string) => number; budget: number; overlapTokens: number },
): Generator<[number, number]> {
  const { countTokens, budget, overlapTokens } = limits;
  let open: Unit[] = [];
  let openTokens = 0;
  for (const unit of units(text, start, end, countTokens, budget)) {
    if (open.length > 0 && openTokens + unit.tokens > budget) {
      yield [open[0]!.start, open.at(-1)!.end];
      // Keep whole units from the end as overlap, as far as they leave room for the new one.
      let kept = 0;
      let keptTokens = 0;
      while (kept < open.length - 1) {
        const more = keptTokens + open[open.length - 1 - kept]!.tokens;
        if (more > overlapTokens || more + unit.tokens > budget) break;
        keptTokens = more;
        kept++;
      }
      open = kept > 0 ? open.slice(-kept) : [];
      openTokens = keptTokens;
    }
    open.push(unit);
    openTokens += unit.tokens;
  }
  if (open.length > 0) yield [open[0]!.start, open.at(-1)!.end];
}

/** Sentences in order, cut further where one alone exceeds the budget. */
function* units(
  text: string,
  start: number,
  end: number,
  countTokens: (text: string) => number,
  budget: number,
): Generator<Unit> {
  for (const [from, to] of sentenceRanges(text, start, end)) {
    const tokens = countTokens(text.slice(from, to));
    if (tokens <= budget) yield { start: from, end: to, tokens };
    else yield* wordUnits(text, from, to, countTokens, budget);
  }
}

/**
 * Paragraphs, cut into blocks where very long, cut into sentences. Blanks between paragraphs are skipped, not segmented:
 * ICU takes every newline for a sentence.
 */
function* sentenceRanges(text: string, start: number, end: number): Generator<[number, number]> {
  for (let at = skipBlanks(text, start, end); at < end; at = skipBlanks(text, at, end)) {
    const block = Math.min(end, at + BLOCK_CHARACTERS);
    const paragraph = text.slice(at, block).indexOf('\n\n');
    let stop = paragraph >= 0 ? at + paragraph : block;
    if (paragraph < 0 && block < end) {
      const blank = lastBlank(text, at + (BLOCK_CHARACTERS >> 1), block);
      stop = blank >= 0 ? blank + 1 : wholeCharacterEnd(text, block);
    }
    for (const { index, segment } of sentences().segment(text.slice(at, stop)))
      yield [at + index, at + index + segment.length];
    at = stop;
  }
}

/** The first character at or after `at` that is not a blank, or `end`. */
function skipBlanks(text: string, at: number, end: number): number {
  const solid = /\S/g;
  solid.lastIndex = at;
  return Math.min(end, solid.exec(text)?.index ?? end);
}

/** Index of the last blank in [from, to), or -1. */
function lastBlank(text: string, from: number, to: number): number {
  for (let at = to - 1; at >= from; at--)
    if (text.charCodeAt(at) === 32 || text.charCodeAt(at) === 10) return at;
  return -1;
}

/** `at`, or one more where `at` would cut a surrogate pair. */
function wholeCharacterEnd(text: string, at: number): number {
  const unit = text.charCodeAt(at);
  return unit >= 0xdc00 && unit <= 0xdfff ? at + 1 : at;
}

/** Single words with the blanks after them; runs longer than a word can be are cut anywhere between characters. */
function* wordUnits(
  text: string,
  start: number,
  end: number,
  countTokens: (text: string) => number,
  budget: number,
): Generator<Unit> {
  for (const match of text.slice(start, end).matchAll(/\s*\S+\s*/g)) {
    const from = start + match.index;
    const to = from + match[0].length;
    const tokens = countTokens(match[0]);
    if (tokens <= Math.max(1, budget >> 3)) {
      yield { start: from, end: to, tokens };
      continue;
    }
    // A character may decompose into three tokens (Hangul), hence a quarter.
    const step = Math.max(1, Math.min(RUN_CHARACTERS, budget >> 2));
    for (let at = from; at < to; ) {
      const stop = Math.min(to, wholeCharacterEnd(text, at + step));
      yield { start: at, end: stop, tokens: countTokens(text.slice(at, stop)) };
      at = stop;
    }
  }
}
