/** A piece of a document's text; `marked` pieces carry query tokens. */
export interface SnippetPart {
  readonly text: string;
  readonly marked: boolean;
}

export interface Snippet {
  readonly parts: readonly SnippetPart[];
  /** Whether text was left out before or after. */
  readonly cutBefore: boolean;
  readonly cutAfter: boolean;
}

/** A place of a text, as UTF-16 range, that a snippet should show. */
export interface Highlight {
  readonly start: number;
  readonly end: number;
  /** What it is worth, above 0. */
  readonly value: number;
  readonly marked: boolean;
}

/** Characters of a snippet; about two lines of a terminal. */
const SNIPPET_CHARACTERS = 200;
/** Characters behind the best place of which a snippet shows something, so that it does not end with it. */
const TRAIL = 40;
/** Characters by which a snippet is longer where a sentence, or at least a word, ends there. */
const SLACK = 24;

const SENTENCE_ENDS = '.!?…。！？';
const CLAUSE_ENDS = ',;:–—)';
const CLOSING = `"'”’)]`;

/**
 * The part of a text with the most valuable places. It begins where a sentence does if one begins near, else with a clause, else with
 * a word, and ends with a sentence or a word.
 *
 * @param places in the order of the text, without overlaps
 */
export function makeSnippet(text: string, places: readonly Highlight[]): Snippet {
  const { from, to } = bestSpan(places);
  const first = places[from]?.start ?? 0;
  const last = places[to]?.end ?? 0;
  const start = beginning(text, first, SNIPPET_CHARACTERS - TRAIL - (last - first));
  const end = ending(text, Math.max(start + SNIPPET_CHARACTERS, last));
  const shown = places.filter((place) => place.marked && place.start >= start && place.end <= end);
  return {
    parts: partsOf(text, start, end, shown),
    cutBefore: lastBefore(text, start) >= 0,
    cutAfter: skipSpaces(text, end) < text.length,
  };
}

/** The run of places that fits a snippet and is worth most; of equal ones the first. */
function bestSpan(places: readonly Highlight[]): { readonly from: number; readonly to: number } {
  let best = { from: 0, to: 0, value: 0 };
  let from = 0;
  let value = 0;
  for (let to = 0; to < places.length; to++) {
    value += places[to]!.value;
    while (places[to]!.end - places[from]!.start > SNIPPET_CHARACTERS - TRAIL && from < to)
      value -= places[from++]!.value;
    if (value > best.value + 1e-9) best = { from, to, value };
  }
  return best;
}

/** Where a snippet begins that shows `first`. @param room characters that may come before it */
function beginning(text: string, first: number, room: number): number {
  const earliest = Math.max(0, first - Math.max(0, room));
  if (earliest === 0) return skipSpaces(text, 0);
  let clause = -1;
  for (let at = first; at > earliest; at--) {
    if (!isSpace(text, at - 1) || isSpace(text, at)) continue;
    const end = lastBefore(text, at);
    if (isSentenceEnd(text, end) || hasEmptyLine(text, end + 1, at)) return at;
    if (clause < 0 && first - at <= room / 2 && CLAUSE_ENDS.includes(text[end]!)) clause = at;
  }
  if (clause >= 0) return clause;
  for (let at = Math.max(earliest, first - Math.ceil(room / 3)); at < first; at++)
    if (isSpace(text, at - 1) && !isSpace(text, at)) return at;
  return first;
}

/** Where a snippet ends that may end at `at`. */
function ending(text: string, at: number): number {
  if (at >= text.length) return lastBefore(text, text.length) + 1;
  for (let end = Math.min(text.length, at + SLACK); end > at - SLACK; end--)
    if (isSpace(text, end) && isSentenceEnd(text, end - 1)) return end;
  for (let end = at; end < Math.min(text.length, at + SLACK); end++) if (isSpace(text, end)) return end;
  for (let end = at; end > at - SLACK; end--) if (isSpace(text, end)) return end;
  // A run without spaces, as in Chinese. Never between the two halves of a character.
  return /[\ud800-\udbff]/.test(text[at - 1]!) ? at - 1 : at;
}

/** Past the end counts as a space, as the beginning does. */
function isSpace(text: string, at: number): boolean {
  if (at < 0 || at >= text.length) return true;
  const code = text.charCodeAt(at);
  return code < 128 ? code === 32 || (code >= 9 && code <= 13) : /\s/.test(text[at]!);
}

/** Place of the last character before a place that is no space; -1 where there is none. */
function lastBefore(text: string, at: number): number {
  let last = at - 1;
  while (last >= 0 && isSpace(text, last)) last--;
  return last;
}

function skipSpaces(text: string, from: number): number {
  let at = from;
  while (at < text.length && isSpace(text, at)) at++;
  return at;
}

/** Whether there are two line ends in a range of spaces. */
function hasEmptyLine(text: string, from: number, to: number): boolean {
  const first = to - from < 2 ? -1 : text.indexOf('\n', from);
  if (first < 0 || first >= to) return false;
  const second = text.indexOf('\n', first + 1);
  return second >= 0 && second < to;
}

/** Whether the character at a place ends a sentence, quotes and brackets behind its mark included. */
function isSentenceEnd(text: string, at: number): boolean {
  let mark = at;
  while (mark > 0 && at - mark < 3 && CLOSING.includes(text[mark]!)) mark--;
  return mark >= 0 && SENTENCE_ENDS.includes(text[mark]!);
}

function partsOf(text: string, start: number, end: number, marked: readonly Highlight[]): SnippetPart[] {
  const parts: SnippetPart[] = [];
  // Looked for once: most snippets have single blanks only.
  const hasOtherSpaces = /\s\s|[^\S ]/.test(text.slice(start, end));
  const append = (piece: string, isMarked: boolean): void => {
    const clean = hasOtherSpaces ? piece.replace(/\s+/g, ' ') : piece;
    const last = parts.at(-1);
    if (clean === '') return;
    if (last && last.marked === isMarked)
      parts[parts.length - 1] = { text: last.text + clean, marked: isMarked };
    else parts.push({ text: clean, marked: isMarked });
  };
  let at = start;
  for (const place of marked) {
    append(text.slice(at, place.start), false);
    append(text.slice(place.start, place.end), true);
    at = place.end;
  }
  append(text.slice(at, end), false);
  return parts;
}
