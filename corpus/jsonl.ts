import { WinnowError } from '../errors.ts';
import { type CorpusProgress, sourceName } from './byte-source.ts';
import { documentFromRow, type FieldNames, RowProblem } from './document-row.ts';
import { DEFAULT_MAX_LINE_BYTES, decodeUtf8, type Line, type LineEnd, readLines } from './lines.ts';
import { openRowSource, type RowSourceOptions } from './row-source.ts';
import type { CorpusDocument, SourceLocation, UnreadScope } from './types.ts';

/** What a reader makes of one row: a document or the reason why there is none. */
export type ReadItem =
  | { readonly document: CorpusDocument; readonly location: SourceLocation }
  | { readonly error: WinnowError; readonly location: SourceLocation; readonly unread?: UnreadScope };

/** The way out where a row has no id or no text, in files: a request has no options for it. */
const FIELD_HINTS = {
  id: 'name the field with --id-column, or pass --generate-ids',
  text: 'name the field with --text-column',
} as const;
/** The way out where a line cannot be read. */
export interface LineHints {
  readonly tooLong: string;
  readonly encoding: string;
}

/** For requests, and for commands without options of how a file is read. */
const PLAIN_HINTS: LineHints = {
  tooLong: 'split the text',
  encoding: 'convert it to UTF-8, for example with iconv',
};
/** For the corpora of `winnow index`. */
export const CORPUS_HINTS: LineHints = {
  tooLong: 'raise --max-line-bytes (maxLineBytes) or split the text',
  encoding: 'name the encoding with --encoding, or convert the file to UTF-8',
};

export interface RowReaderOptions extends FieldNames, RowSourceOptions {
  /** Longest line in bytes, 1..; a longer one is reported and skipped unread. Default 10,000,000. */
  readonly maxLineBytes?: number;
  /** Give rows without an id the id `line-N`. Such ids change when lines are inserted. Default false. */
  readonly generateIds?: boolean;
}

/** The text of a line, or the error that says why it cannot be read. `what` names the kind of row in messages. */
export function lineText(
  { bytes, line, sizeBytes }: Line,
  file: string,
  maxLineBytes: number,
  hints = PLAIN_HINTS,
): string | WinnowError {
  if (bytes === undefined)
    return new WinnowError(
      'WINNOW_ROW_TOO_LONG',
      `the line has ${sizeBytes} bytes, the limit is ${maxLineBytes}`,
      { place: `${file}:${line}`, hint: hints.tooLong },
    );
  return (
    decodeUtf8(bytes) ??
    new WinnowError('WINNOW_BAD_ROW', 'the line is not valid UTF-8', {
      place: `${file}:${line}`,
      hint: hints.encoding,
    })
  );
}

/**
 * The object on a line of JSON. Integers whose digits a double would change are given as strings. The names NaN,
 * Infinity and -Infinity, which Python's json module writes although JSON has no such numbers, count as null.
 *
 * @throws RowProblem when it is no JSON object
 */
export function parseJsonObject(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = parseExactly(text);
  } catch (error) {
    // V8 quotes the text in its message; a cut keeps a long line out of the log.
    const reason = (error as Error).message.replace(/\s+/g, ' ').slice(0, 120);
    throw new RowProblem('WINNOW_BAD_ROW', `not JSON: ${reason}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new RowProblem('WINNOW_BAD_ROW', 'expected a JSON object on each line');
  return value as Record<string, unknown>;
}

/** What JSON.parse cannot keep: integers that are no exact double, and Python's names of no numbers. */
const LONG_INTEGER = /\d{16}/;
const PYTHON_NUMBER = /NaN|Infinity/;

function parseExactly(text: string): unknown {
  const long = LONG_INTEGER.test(text);
  try {
    return JSON.parse(long ? rewriteOutsideStrings(text, quoteLongIntegers) : text);
  } catch (error) {
    if (!PYTHON_NUMBER.test(text)) throw error;
    return JSON.parse(
      rewriteOutsideStrings(text, (outside) =>
        quoteLongIntegers(outside.replace(/-?\b(?:NaN|Infinity)\b/g, 'null')),
      ),
    );
  }
}

/** Integers beyond 2^53 whose digits a double would change become strings, so that ids and metadata keep them. */
function quoteLongIntegers(outside: string): string {
  if (!LONG_INTEGER.test(outside)) return outside;
  return outside.replace(/-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g, (number) =>
    /^-?[1-9]\d{15,}$/.test(number) && String(Number(number)) !== number ? `"${number}"` : number,
  );
}

/** Applies `rewrite` to the parts of a JSON text between its strings; linear in the text. */
function rewriteOutsideStrings(text: string, rewrite: (outside: string) => string): string {
  const parts: string[] = [];
  let from = 0;
  while (from < text.length) {
    const quote = text.indexOf('"', from);
    parts.push(rewrite(text.slice(from, quote < 0 ? text.length : quote)));
    if (quote < 0) break;
    let end = quote + 1;
    while (end < text.length && text[end] !== '"') end += text[end] === '\\' ? 2 : 1;
    parts.push(text.slice(quote, end + 1));
    from = end + 1;
  }
  return parts.join('');
}

/** Which document an unreadable row was about: its only id field, as far as its start shows; else any document. */
function unreadRow({ bytes, head }: Line, names: FieldNames): UnreadScope {
  const text = (bytes ?? head)?.toString('utf8') ?? '';
  const field = names.idField === undefined ? '_?id' : names.idField.replace(/[^\w]/g, '\\$&');
  const pattern = new RegExp(`"${field}"\\s*:\\s*(?:"((?:[^"\\\\]|\\\\.)*)"|(-?\\d+))`, 'g');
  const found = [...text.matchAll(pattern)];
  if (found.length !== 1) return { all: true };
  const [, quoted, digits] = found[0]!;
  try {
    return { id: digits ?? String(JSON.parse(`"${quoted}"`)) };
  } catch {
    return { all: true };
  }
}

/** Reads a JSON Lines file; see {@link readJsonlStream}. Errors of the file itself end the stream by throwing. */
export async function* readJsonl(
  path: string,
  options: RowReaderOptions,
  progress: CorpusProgress,
): AsyncGenerator<ReadItem> {
  const { chunks, lineEnd } = await openRowSource(path, options, progress, false);
  yield* readRows(chunks, sourceName(path), options, { lineEnd, hints: true });
}

/**
 * Reads JSON Lines from any byte stream: one document per line, blank lines ignored.
 *
 * @param name what errors call the stream: a path, or "request body"
 */
export async function* readJsonlStream(
  chunks: AsyncIterable<Buffer>,
  name: string,
  options: RowReaderOptions = {},
): AsyncGenerator<ReadItem> {
  yield* readRows(chunks, name, options, { lineEnd: 'lf', hints: false });
}

async function* readRows(
  chunks: AsyncIterable<Buffer>,
  name: string,
  options: RowReaderOptions,
  { lineEnd, hints }: { readonly lineEnd: LineEnd; readonly hints: boolean },
): AsyncGenerator<ReadItem> {
  const maxLineBytes = options.maxLineBytes ?? DEFAULT_MAX_LINE_BYTES;
  for await (const line of readLines(chunks, maxLineBytes, lineEnd)) {
    const location = { file: name, line: line.line };
    const text = lineText(line, name, maxLineBytes, hints ? CORPUS_HINTS : undefined);
    if (typeof text !== 'string') {
      yield { error: text, location, unread: unreadRow(line, options) };
      continue;
    }
    if (text.trim() === '') continue;
    let row: Record<string, unknown> | undefined;
    try {
      const fallbackId = options.generateIds ? `line-${line.line}` : undefined;
      row = parseJsonObject(text);
      yield { document: documentFromRow(row, options, fallbackId), location };
    } catch (error) {
      if (!(error instanceof RowProblem)) throw error;
      const unread = row === undefined ? unreadRow(line, options) : error.unread;
      const hint = hints && error.missing ? FIELD_HINTS[error.missing] : undefined;
      yield { error: error.at(name, line.line, hint), location, ...(unread ? { unread } : {}) };
    }
  }
}
