/**
 * What a terminal would act on instead of showing it: C0 and C1 controls (ESC starts colours, titles, links), marks that
 * turn the direction of text, line and paragraph separators, and halves of surrogate pairs.
 */
const UNPRINTABLE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be printed
  /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]/gu;

function escaped(character: string): string {
  if (character === '\n') return '\\n';
  if (character === '\r') return '\\r';
  if (character === '\t') return '\\t';
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** Text on one line that a terminal only shows: control characters as `\n` or `\u001b`. For all that people read. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, escaped);
}

/** As {@link printable}, but line feeds and tabs of running text become blanks. */
export function printableText(text: string): string {
  return printable(text.replace(/[\t\r\n\u2028\u2029]+/g, ' '));
}

/** As {@link printable} for text of several lines that winnow itself has laid out. */
export function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n');
}
