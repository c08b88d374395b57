import { WinnowError } from '../errors.ts';
import { type CorpusProgress, sourceName, uncompressedName } from './byte-source.ts';
import { detectDialect } from './csv-dialect.ts';
import { readRecords } from './csv-records.ts';
import { documentFromRow, type FieldNames, ID_FIELDS, RowProblem, TEXT_FIELDS } from './document-row.ts';
import type { ReadItem, RowReaderOptions } from './jsonl.ts';
import { DEFAULT_MAX_LINE_BYTES, readLines } from './lines.ts';
import { openRowSource } from './row-source.ts';

export interface CsvOptions extends RowReaderOptions {
  /** One character; default: what the file is found to use, of comma, semicolon, tab and bar. */
  readonly delimiter?: string;
  /** Whether `"` quotes a field. Default: true, with tabs only where the file is found to quote. */
  readonly quotes?: boolean;
  /** Column names where the file has no header line. */
  readonly columns?: readonly string[];
}

const OPTIONS_HINT = 'name them with --id-column and --text-column, or the separator with --delimiter';
const HEADER_HINT = 'correct the first line, or pass --delimiter, --encoding or --no-quotes';

/**
 * Reads CSV or TSV with a header line (or given `columns`): one document per record. Encoding, line ends, delimiter and
 * quotes are detected where they are not given. `onNotice` is called for what is unusual for the file's name. A header that
 * cannot be read, or that has no id or text, is one error and ends the file, because no row may be taken for the header. A cell
 * of a metadata column becomes a number when the number prints back the same, or where `fieldTypes` says so. Empty cells are
 * left out.
 *
 * @throws WinnowError WINNOW_BAD_ARGUMENT when a named column is not in the header, WINNOW_BAD_ROW for the header
 */
export async function* readCsv(
  path: string,
  options: CsvOptions,
  progress: CorpusProgress,
): AsyncGenerator<ReadItem> {
  const file = sourceName(path);
  const maxRecordBytes = options.maxLineBytes ?? DEFAULT_MAX_LINE_BYTES;
  const { chunks, head, whole, lineEnd } = await openRowSource(path, options, progress, true);
  const { delimiter, quotes, columns: given } = options;
  const dialect = detectDialect({
    head,
    whole,
    lineEnd,
    usual: /\.tsv$/i.test(uncompressedName(path)) ? '\t' : ',',
    ...(delimiter === undefined ? {} : { delimiter }),
    ...(quotes === undefined ? {} : { quotes }),
    ...(given === undefined ? {} : { columns: given }),
    known: (header) => {
      const names = canonicalNames(header, options);
      return (
        Number(idColumn(names, options) !== undefined) + Number(textColumn(names, options) !== undefined)
      );
    },
  });
  for (const message of dialect.assumed) options.onNotice?.({ place: file, message });

  let columns = given && checkedColumns(given, options, `${file}:1`);
  const records = readRecords(readLines(chunks, maxRecordBytes, lineEnd), {
    ...dialect,
    file,
    maxRecordBytes,
    width: () => columns?.length,
  });
  for await (const record of records) {
    const location = { file, line: record.line };
    if (!columns) {
      const place = `${file}:${record.line}`;
      if ('error' in record)
        throw new WinnowError('WINNOW_BAD_ROW', `the header cannot be read: ${record.error.message}`, {
          place,
          hint: HEADER_HINT,
        });
      columns = checkedColumns(record.fields, options, place);
    } else if ('error' in record) {
      yield { error: record.error, location, unread: record.unread };
    } else if (record.fields.some((field) => field !== '')) {
      yield itemFromRecord(record.fields, columns, options, location);
    }
  }
}

function itemFromRecord(
  fields: readonly string[],
  columns: readonly string[],
  options: CsvOptions,
  location: { readonly file: string; readonly line: number },
): ReadItem {
  const { file, line } = location;
  try {
    if (fields.length !== columns.length) {
      const problem = new RowProblem(
        'WINNOW_BAD_ROW',
        `${fields.length} fields where the header has ${columns.length}`,
      );
      const at = columns.indexOf(idColumn(columns, options) ?? '');
      const id = at < 0 ? undefined : fields[at];
      problem.unread = id ? { id } : { all: true };
      throw problem;
    }
    const row = rowFromFields(columns, fields, options);
    return {
      document: documentFromRow(row, options, options.generateIds ? `line-${line}` : undefined),
      location,
    };
  } catch (error) {
    if (!(error instanceof RowProblem)) throw error;
    return { error: error.at(file, line), location, ...(error.unread ? { unread: error.unread } : {}) };
  }
}

const DOCUMENT_FIELDS = [...ID_FIELDS, 'title', ...TEXT_FIELDS];

/**
 * The names of columns as rows use them: the usual names in small letters whatever the header's case, `column_3` for a
 * column without a name.
 */
function canonicalNames(header: readonly string[], options: FieldNames): string[] {
  const names = header.map((name, i) => name.trim() || `column_${i + 1}`);
  const named = new Set([options.idField, options.titleField, options.textField]);
  for (const usual of DOCUMENT_FIELDS) {
    if (names.includes(usual)) continue;
    const at = names.findIndex((name) => name.toLowerCase() === usual && !named.has(name));
    if (at >= 0) names[at] = usual;
  }
  // A repeated column of metadata gets a number; a repeated field of the document is an error.
  const seen = new Set<string>();
  return names.map((name) => {
    let own = name;
    for (let n = 2; seen.has(own) && !DOCUMENT_FIELDS.includes(name) && !named.has(name); n++)
      own = `${name}_${n}`;
    seen.add(own);
    return own;
  });
}

/** @throws WinnowError when a document cannot be made of these columns */
function checkedColumns(header: readonly string[], options: CsvOptions, place: string): string[] {
  const columns = canonicalNames(header, options);
  const found = `the columns are ${header.map((name) => `"${name.slice(0, 80)}"`).join(', ')}`;
  const { idField, titleField, textField, metadataFields = [] } = options;
  for (const name of [idField, titleField, textField, ...metadataFields]) {
    if (name === undefined || columns.includes(name)) continue;
    throw new WinnowError('WINNOW_BAD_ARGUMENT', `there is no column "${name}"`, { place, hint: found });
  }
  const missing = [
    ...(idColumn(columns, options) === undefined && !options.generateIds
      ? [`id (${ID_FIELDS.join(', ')})`]
      : []),
    ...(textColumn(columns, options) === undefined ? [`text (${TEXT_FIELDS.join(', ')})`] : []),
  ];
  if (missing.length > 0)
    throw new WinnowError('WINNOW_BAD_ROW', `the header has no ${missing.join(' and no ')}: ${found}`, {
      place,
      hint: OPTIONS_HINT,
    });
  const twice = columns.find((name, i) => columns.indexOf(name) !== i);
  if (twice !== undefined)
    throw new WinnowError('WINNOW_BAD_ROW', `the header names the column "${twice}" twice`, {
      place,
      hint: 'give each column its own name',
    });
  return columns;
}

function idColumn(columns: readonly string[], options: FieldNames): string | undefined {
  return [options.idField, ...(options.idField === undefined ? ID_FIELDS : [])].find(
    (name) => name !== undefined && columns.includes(name),
  );
}

function textColumn(columns: readonly string[], options: FieldNames): string | undefined {
  return [options.textField, ...(options.textField === undefined ? TEXT_FIELDS : [])].find(
    (name) => name !== undefined && columns.includes(name),
  );
}

function rowFromFields(
  columns: readonly string[],
  fields: readonly string[],
  options: CsvOptions,
): Record<string, unknown> {
  const textual = new Set([options.idField, options.titleField, options.textField, ...DOCUMENT_FIELDS]);
  const ids = new Set([options.idField, ...ID_FIELDS]);
  const types = new Map(Object.entries(options.fieldTypes ?? {}));
  const entries: [string, unknown][] = [];
  columns.forEach((name, index) => {
    const field = fields[index]!;
    if (textual.has(name)) {
      // An empty id cell counts as no id.
      if (field !== '' || !ids.has(name)) entries.push([name, field]);
    } else if (field !== '') entries.push([name, types.has(name) ? field : numberOrText(field)]);
  });
  return Object.fromEntries(entries);
}

/** "12" and "3.5" become numbers; "007", "1e5" and "1.50" stay text, as they may be codes. */
function numberOrText(field: string): string | number {
  const number = Number(field);
  return Number.isFinite(number) && String(number) === field ? number : field;
}
