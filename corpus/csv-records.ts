import { parse } from 'csv-parse/sync';
import { WinnowError } from '../errors.ts';
import { CORPUS_HINTS, lineText } from './jsonl.ts';
import type { Line } from './lines.ts';
import type { UnreadScope } from './types.ts';

/** How the fields of a file are separated. */
export interface CsvDialect {
  /** One character. */
  readonly delimiter: string;
  /** Whether a `"` at the start of a field quotes it. */
  readonly quotes: boolean;
}

export type CsvRecord =
  | { readonly line: number; readonly fields: string[] }
  | { readonly line: number; readonly error: WinnowError; readonly unread: UnreadScope };

type LineState = 'complete' | 'open' | 'malformed';

/**
 * The state of a record after one more line: complete, inside a quoted field (`open`), or wrong, because text follows a
 * closing quote. A quote opens a field only at its start, blanks aside, so an inch mark in a field is text. Linear in the
 * line.
 */
export function scanLine(text: string, delimiter: string, open: boolean): LineState {
  if (!open && !text.includes('"')) return 'complete';
  let quoted = open;
  for (let at = 0; ; ) {
    if (quoted) {
      const quote = text.indexOf('"', at);
      if (quote < 0) return 'open';
      if (text[quote + 1] === '"') {
        at = quote + 2;
        continue;
      }
      const next = skipBlanks(text, quote + 1, delimiter);
      if (next >= text.length) return 'complete';
      if (text[next] !== delimiter) return 'malformed';
      at = next + 1;
      quoted = false;
    }
    const start = skipBlanks(text, at, delimiter);
    if (text[start] === '"') {
      quoted = true;
      at = start + 1;
      continue;
    }
    const next = text.indexOf(delimiter, start);
    if (next < 0) return 'complete';
    at = next + 1;
  }
}

function skipBlanks(text: string, from: number, delimiter: string): number {
  let at = from;
  while (text[at] !== delimiter && (text[at] === ' ' || text[at] === '\t' || text[at] === '\r')) at++;
  return at;
}

/** Makes a parser for one record without its line end; blanks round a field are dropped. @throws Error */
export function recordParser({ delimiter, quotes }: CsvDialect): (text: string) => string[] {
  const options = {
    delimiter,
    quote: '"',
    relax_column_count: true,
    relax_quotes: true,
    trim: true,
    record_delimiter: '\u0000',
  };
  return (text) => {
    if (!quotes || !text.includes('"')) return plainFields(text, delimiter);
    const rows = parse(text, options) as string[][];
    if (rows.length !== 1) throw new Error('a NUL character outside quotes');
    return rows[0]!;
  };
}

function plainFields(text: string, delimiter: string): string[] {
  return text.split(delimiter).map((field) => field.trim());
}

export interface RecordOptions extends CsvDialect {
  readonly file: string;
  /** Longest record in bytes. */
  readonly maxRecordBytes: number;
  /** Lines before the header that are no record. */
  readonly skipLines: number;
  /** Fields of a record, where known: a line with a stray quote is taken literally when it then has as many. */
  readonly width: () => number | undefined;
}

const QUOTE_HINT = 'double the quotes inside a field, or pass --no-quotes';

/**
 * Groups lines into records. When the group cannot be completed within the limit, or is no valid record, only its first line
 * is given up, and reading continues with the second. One stray quote therefore costs one line and not the rest of the file.
 */
export async function* readRecords(
  lines: AsyncIterable<Line>,
  options: RecordOptions,
): AsyncGenerator<CsvRecord> {
  const parseRecord = recordParser(options);
  const reader = new LineReader(lines, options);
  try {
    for (let first = await reader.next(); first; first = await reader.next()) {
      if ('error' in first) {
        yield first;
        continue;
      }
      const { group, state, unreadable } = await readGroup(first, reader, options);
      if (unreadable) yield unreadable;
      const fields = fieldsOf(group, state, parseRecord, options);
      if (typeof fields !== 'string') {
        if (fields.length > 0) yield { line: first.line, fields };
        continue;
      }
      const place = `${options.file}:${first.line}`;
      yield {
        line: first.line,
        error: new WinnowError('WINNOW_BAD_ROW', fields, { place, hint: QUOTE_HINT }),
        unread: { all: true },
      };
      for (let i = group.length - 1; i > 0; i--) reader.again(group[i]!);
    }
  } finally {
    await reader.close();
  }
}

/** The lines of one record according to its quotes, and the unreadable line that ended it, if any. */
async function readGroup(
  first: TextLine,
  reader: LineReader,
  { delimiter, quotes, maxRecordBytes }: RecordOptions,
): Promise<{ group: TextLine[]; state: LineState; unreadable?: CsvRecord }> {
  const group = [first];
  let size = first.text.length;
  let state: LineState = quotes ? scanLine(first.text, delimiter, false) : 'complete';
  while (state === 'open') {
    const more = await reader.next();
    if (more === undefined) break;
    if ('error' in more) return { group, state, unreadable: more };
    group.push(more);
    size += more.text.length + 1;
    if (size > maxRecordBytes) break;
    state = scanLine(more.text, delimiter, true);
  }
  return { group, state };
}

/** The fields of a record, none for blank lines; or why it is no record. */
function fieldsOf(
  group: readonly TextLine[],
  state: LineState,
  parseRecord: (text: string) => string[],
  { delimiter, width }: RecordOptions,
): string[] | string {
  if (state === 'open') return 'a quoted field is never closed';
  if (state === 'malformed') {
    const plain = plainFields(group[0]!.text, delimiter);
    return group.length === 1 && plain.length === width()
      ? plain
      : 'text follows the closing quote of a field';
  }
  const text = group.map((line) => line.text).join('\n');
  if (text.trim() === '') return [];
  try {
    return parseRecord(text);
  } catch (error) {
    const reason = (error as Error).message.replace(/\s*(?:at|on) line \d+.*$/i, '').slice(0, 160);
    return `not a CSV record: ${reason}`;
  }
}

interface TextLine {
  readonly line: number;
  readonly text: string;
}

type ReadLine =
  | TextLine
  | { readonly line: number; readonly error: WinnowError; readonly unread: UnreadScope };

/** The lines of a file as text, some of which may be put back. */
class LineReader {
  private readonly source: AsyncIterator<Line>;
  private readonly options: RecordOptions;
  /** Lines to be read again, last first. */
  private readonly waiting: ReadLine[] = [];
  private ended = false;

  constructor(lines: AsyncIterable<Line>, options: RecordOptions) {
    this.source = lines[Symbol.asyncIterator]();
    this.options = options;
  }

  async next(): Promise<ReadLine | undefined> {
    const { file, maxRecordBytes, skipLines } = this.options;
    const again = this.waiting.pop();
    if (again) return again;
    while (!this.ended) {
      const step = await this.source.next();
      if (step.done) break;
      if (step.value.line <= skipLines) continue;
      const { line } = step.value;
      const text = lineText(step.value, file, maxRecordBytes, CORPUS_HINTS);
      return typeof text === 'string' ? { line, text } : { line, error: text, unread: { all: true } };
    }
    this.ended = true;
    return undefined;
  }

  again(line: TextLine): void {
    this.waiting.push(line);
  }

  async close(): Promise<void> {
    await this.source.return?.();
  }
}
