import { WinnowError } from '../errors.ts';
import { type CorpusProgress, openBytes } from './byte-source.ts';
import { documentFromRow, type FieldNames, RowProblem } from './document-row.ts';
import { DEFAULT_MAX_LINE_BYTES, decodeUtf8, type Line, readLines } from './lines.ts';
import type { CorpusDocument, SourceLocation } from './types.ts';

/** What a reader makes of one row: a document or the reason why there is none. */
export type ReadItem =
  | { readonly document: CorpusDocument; readonly location: SourceLocation }
  | { readonly error: WinnowError; readonly location: SourceLocation };

export interface RowReaderOptions extends FieldNames {
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
): string | WinnowError {
  if (bytes === undefined)
    return new WinnowError(
      'WINNOW_ROW_TOO_LONG',
      `the line has ${sizeBytes} bytes, the limit is ${maxLineBytes}`,
      { place: `${file}:${line}`, hint: 'raise maxLineBytes or split the text' },
    );
  return (
    decodeUtf8(bytes) ??
    new WinnowError('WINNOW_BAD_ROW', 'the line is not valid UTF-8', {
      place: `${file}:${line}`,
      hint: 'convert the file to UTF-8, for example with iconv',
    })
  );
}

/**
 * The object on a line of JSON. The names NaN, Infinity and -Infinity, which Python's json module writes although JSON has
 * no such numbers, count as null.
 *
 * @throws RowProblem when it is no JSON object
 */
export function parseJsonObject(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = parseWithPythonNumbers(text);
  } catch (error) {
    // V8 quotes the text in its message; a cut keeps a long line out of the log.
    const reason = (error as Error).message.replace(/\s+/g, ' ').slice(0, 120);
    throw new RowProblem('WINNOW_BAD_ROW', `not JSON: ${reason}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new RowProblem('WINNOW_BAD_ROW', 'expected a JSON object on each line');
  return value as Record<string, unknown>;
}

function parseWithPythonNumbers(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (!/NaN|Infinity/.test(text)) throw error;
    return JSON.parse(pythonNumbersToNull(text));
  }
}

/** Replaces the three names outside strings. */
function pythonNumbersToNull(text: string): string {
  let result = '';
  let from = 0;
  while (from < text.length) {
    const quote = text.indexOf('"', from);
    const outside = text.slice(from, quote < 0 ? text.length : quote);
    result += outside.replace(/-?\b(?:NaN|Infinity)\b/g, 'null');
    if (quote < 0) break;
    let end = quote + 1;
    while (end < text.length && text[end] !== '"') end += text[end] === '\\' ? 2 : 1;
    result += text.slice(quote, end + 1);
    from = end + 1;
  }
  return result;
}

/** Reads a JSON Lines file; see {@link readJsonlStream}. Errors of the file itself end the stream by throwing. */
export async function* readJsonl(
  path: string,
  options: RowReaderOptions,
  progress: CorpusProgress,
): AsyncGenerator<ReadItem> {
  const bytes = openBytes(path, (count) => {
    progress.bytesRead += count;
  });
  yield* readJsonlStream(bytes, path, options);
}

/**
 * Reads JSON Lines from any byte stream: one document a line, blank lines ignored.
 *
 * @param name what errors call the stream: a path, or "request body"
 */
export async function* readJsonlStream(
  chunks: AsyncIterable<Buffer>,
  name: string,
  options: RowReaderOptions = {},
): AsyncGenerator<ReadItem> {
  const maxLineBytes = options.maxLineBytes ?? DEFAULT_MAX_LINE_BYTES;
  for await (const line of readLines(chunks, maxLineBytes)) {
    const location = { file: name, line: line.line };
    const text = lineText(line, name, maxLineBytes);
    if (typeof text !== 'string') {
      yield { error: text, location };
      continue;
    }
    if (text.trim() === '') continue;
    try {
      const fallbackId = options.generateIds ? `line-${line.line}` : undefined;
      yield { document: documentFromRow(parseJsonObject(text), options, fallbackId), location };
    } catch (error) {
      if (!(error instanceof RowProblem)) throw error;
      yield { error: error.at(name, line.line), location };
    }
  }
}
