import { parse } from 'csv-parse/sync';
import { WinnowError } from '../errors.ts';
import { type CorpusProgress, openBytes } from './byte-source.ts';
import { documentFromRow, RowProblem } from './document-row.ts';
import { lineText, type ReadItem, type RowReaderOptions } from './jsonl.ts';
import { DEFAULT_MAX_LINE_BYTES, type Line, readLines } from './lines.ts';

export interface CsvOptions extends RowReaderOptions {
  /** One character; default tab for .tsv, else the comma. */
  readonly delimiter?: string;
  /** Whether `"` quotes a field. Default true, false when the delimiter is a tab: TSV files rarely quote. */
  readonly quotes?: boolean;
  /** Column names where the file has no header line. */
  readonly columns?: readonly string[];
}

interface TextLine {
  readonly line: number;
  readonly text: string;
}

function quoteCount(text: string): number {
  let count = 0;
  for (let at = text.indexOf('"'); at >= 0; at = text.indexOf('"', at + 1)) count++;
  return count;
}

/**
 * Groups lines into records: a record is complete when its quotes are even (RFC 4180 doubles a quote inside quotes). When
 * the group cannot be completed within the limit, or is no valid record, only its first line is given up and reading goes
 * on with the second, so one stray quote costs one line and not the rest of the file.
 */
async function* readRecords(
  lines: AsyncIterable<Line>,
  file: string,
  quotes: boolean,
  maxRecordBytes: number,
  parseRecord: (text: string) => string[],
): AsyncGenerator<{ line: number; fields: string[] } | { line: number; error: WinnowError }> {
  const source = lines[Symbol.asyncIterator]();
  const waiting: TextLine[] = []; // lines to be read again, last first
  let ended = false;

  async function next(): Promise<TextLine | { line: number; error: WinnowError } | undefined> {
    const again = waiting.pop();
    if (again) return again;
    if (ended) return undefined;
    const step = await source.next();
    if (step.done) {
      ended = true;
      return undefined;
    }
    const text = lineText(step.value, file, maxRecordBytes);
    return typeof text === 'string'
      ? { line: step.value.line, text }
      : { line: step.value.line, error: text };
  }

  try {
    for (let first = await next(); first; first = await next()) {
      if ('error' in first) {
        yield first;
        continue;
      }
      const group: TextLine[] = [first];
      let odd = quotes && quoteCount(first.text) % 2 === 1;
      let size = first.text.length;
      let problem: WinnowError | undefined;
      while (odd) {
        const more = await next();
        if (more === undefined || 'error' in more || size + more.text.length > maxRecordBytes) {
          problem = new WinnowError('WINNOW_BAD_ROW', 'a quoted field is never closed', {
            place: `${file}:${first.line}`,
            hint: 'double the quotes inside a field, or switch quotes off',
          });
          if (more && 'error' in more) yield more;
          else if (more) group.push(more);
          break;
        }
        group.push(more);
        size += more.text.length + 1;
        if (quoteCount(more.text) % 2 === 1) odd = false;
      }
      if (!problem) {
        try {
          const text = group.length === 1 ? first.text : group.map((part) => part.text).join('\n');
          if (text.trim() !== '') yield { line: first.line, fields: parseRecord(text) };
          continue;
        } catch (error) {
          const reason = (error as Error).message.replace(/\s*(?:at|on) line \d+.*$/i, '').slice(0, 160);
          problem = new WinnowError('WINNOW_BAD_ROW', `not a CSV record: ${reason}`, {
            place: `${file}:${first.line}`,
            hint: 'double the quotes inside a field, or switch quotes off',
          });
        }
      }
      yield { line: first.line, error: problem };
      for (let i = group.length - 1; i > 0; i--) waiting.push(group[i]!);
    }
  } finally {
    await source.return?.();
  }
}

/** Makes a parser for one record without its line end. */
function recordParser(delimiter: string, quotes: boolean): (text: string) => string[] {
  const options = {
    delimiter,
    quote: quotes ? '"' : null,
    relax_column_count: true,
    record_delimiter: '\u0000',
  };
  return (text) => {
    if (!quotes || !text.includes('"')) return text.split(delimiter);
    const rows = parse(text, options) as string[][];
    if (rows.length !== 1) throw new Error('a NUL character outside quotes');
    return rows[0]!;
  };
}

/**
 * Reads CSV or TSV with a header line (or given `columns`): one document a record. A number in a metadata column becomes a
 * number when it prints back the same; empty cells are left out.
 *
 * @throws WinnowError WINNOW_BAD_ARGUMENT when a named column is not in the header
 */
export async function* readCsv(
  path: string,
  options: CsvOptions,
  progress: CorpusProgress,
): AsyncGenerator<ReadItem> {
  const maxLineBytes = options.maxLineBytes ?? DEFAULT_MAX_LINE_BYTES;
  const delimiter = options.delimiter ?? (/\.tsv(\.gz|\.xz)?$/i.test(path) ? '\t' : ',');
  const quotes = options.quotes ?? delimiter !== '\t';
  const bytes = openBytes(path, (count) => {
    progress.bytesRead += count;
  });
  let columns = options.columns;
  if (columns) checkColumns(columns, options, path);
  const records = readRecords(
    readLines(bytes, maxLineBytes),
    path,
    quotes,
    maxLineBytes,
    recordParser(delimiter, quotes),
  );
  for await (const record of records) {
    const location = { file: path, line: record.line };
    if ('error' in record) {
      yield { error: record.error, location };
      continue;
    }
    if (!columns) {
      columns = record.fields.map((name) => name.trim());
      checkColumns(columns, options, path);
      continue;
    }
    try {
      if (record.fields.length !== columns.length)
        throw new RowProblem(
          'WINNOW_BAD_ROW',
          `${record.fields.length} fields where the header has ${columns.length}`,
        );
      const row = rowFromFields(columns, record.fields, options);
      const fallbackId = options.generateIds ? `line-${record.line}` : undefined;
      yield { document: documentFromRow(row, options, fallbackId), location };
    } catch (error) {
      if (!(error instanceof RowProblem)) throw error;
      yield { error: error.at(path, record.line), location };
    }
  }
}

function checkColumns(columns: readonly string[], options: CsvOptions, path: string): void {
  const { idField, titleField, textField, metadataFields = [] } = options;
  for (const name of [idField, titleField, textField, ...metadataFields]) {
    if (name === undefined || columns.includes(name)) continue;
    throw new WinnowError('WINNOW_BAD_ARGUMENT', `there is no column "${name}"`, {
      place: `${path}:1`,
      hint: `the columns are ${columns.map((c) => `"${c}"`).join(', ')}`,
    });
  }
}

const TEXT_COLUMNS = new Set(['_id', 'id', 'title', 'text', 'contents', 'body']);

function rowFromFields(
  columns: readonly string[],
  fields: readonly string[],
  options: CsvOptions,
): Record<string, unknown> {
  const textual = new Set([options.idField, options.titleField, options.textField]);
  const entries: [string, unknown][] = [];
  columns.forEach((name, index) => {
    const field = fields[index]!;
    if (textual.has(name) || TEXT_COLUMNS.has(name)) {
      // An empty id cell counts as no id.
      if (field !== '' || (name !== options.idField && name !== '_id' && name !== 'id'))
        entries.push([name, field]);
    } else if (field !== '') entries.push([name, numberOrText(field)]);
  });
  return Object.fromEntries(entries);
}

/** "12" and "3.5" become numbers; "007", "1e5" and "1.50" stay text, as they may be codes. */
function numberOrText(field: string): string | number {
  const number = Number(field);
  return Number.isFinite(number) && String(number) === field ? number : field;
}
