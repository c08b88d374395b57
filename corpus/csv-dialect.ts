import { type CsvDialect, recordParser, scanLine } from './csv-records.ts';

/** Delimiters that are looked for, the likeliest first. */
const DELIMITERS = [',', ';', '\t', '|'] as const;
/** Records of the start that are compared. */
const SAMPLE_RECORDS = 50;

export interface DialectQuestion {
  /** Start of the file. */
  readonly head: string;
  /** Whether `head` is the whole file. */
  readonly whole: boolean;
  readonly lineEnd: 'lf' | 'cr';
  /** Delimiter of files of that name. */
  readonly usual: string;
  readonly delimiter?: string;
  readonly quotes?: boolean;
  /** Column names, where the file has no header line. */
  readonly columns?: readonly string[];
  /** How many of the fields that a document needs (id and text) a header has. */
  readonly known: (header: readonly string[]) => number;
}

export interface DetectedDialect extends CsvDialect {
  /** 1 when the file starts with Excel's `sep=;`. */
  readonly skipLines: number;
  /** What was assumed against the file's name, as messages. */
  readonly assumed: readonly string[];
}

/** Finds out how a file is delimited and quoted; what is given is not questioned. */
export function detectDialect(question: DialectQuestion): DetectedDialect {
  const { head, whole, lineEnd, usual, delimiter: given, quotes: givenQuotes } = question;
  const all = head.split(lineEnd === 'cr' ? '\r' : /\r?\n/);
  // The last line may be incomplete, and an incomplete line is no evidence.
  if (!whole && all.length > 1) all.pop();
  const declared = /^"?sep=(.)"?\s*$/i.exec(all[0] ?? '')?.[1];
  const skipLines = declared === undefined ? 0 : 1;
  const lines = all.slice(skipLines);
  const assumed: string[] = [];

  let delimiter = given ?? declared;
  if (delimiter === undefined) {
    delimiter = bestDelimiter(lines, question);
    if (delimiter !== usual)
      assumed.push(`read with ${delimiterName(delimiter)} between the fields (--delimiter overrules)`);
  }
  let quotes = givenQuotes;
  if (quotes === undefined) {
    quotes = delimiter !== '\t' || isQuoted(lines, question.columns?.length);
    if (quotes && delimiter === '\t') assumed.push('read with quoted fields (--no-quotes overrules)');
  }
  return { delimiter, quotes, skipLines, assumed };
}

function delimiterName(delimiter: string): string {
  const names: Record<string, string> = { ',': 'commas', ';': 'semicolons', '\t': 'tabs', '|': 'bars' };
  return names[delimiter] ?? `"${delimiter}"`;
}

/** The delimiter whose header has the fields that are needed; else the one by which the records agree most. */
function bestDelimiter(lines: readonly string[], { usual, columns, known }: DialectQuestion): string {
  let best = usual;
  let bestScore = 0;
  for (const delimiter of new Set([usual, ...DELIMITERS])) {
    const records = sampleRecords(lines, { delimiter, quotes: true });
    const header = columns ?? records[0] ?? [];
    if (header.length < 2 && known(header) < 2) continue;
    const score = known(header) + agreement(records, header.length);
    if (score > bestScore) {
      best = delimiter;
      bestScore = score;
    }
  }
  return best;
}

/** Share of records with so many fields, 0..1. */
function agreement(records: readonly (readonly string[])[], width: number): number {
  return records.filter((record) => record.length === width).length / Math.max(1, records.length);
}

/** Whether a file with tabs quotes its fields, as spreadsheets write it; most programs write quotes as they are. */
function isQuoted(lines: readonly string[], given: number | undefined): boolean {
  const plain = sampleRecords(lines, { delimiter: '\t', quotes: false });
  const wrapped = (cell: string) => /^".*"$/s.test(cell) && cell.length > 1;
  if (given === undefined && plain[0]?.some(wrapped)) return true;
  if (!plain.some((record) => record.some((cell) => cell.startsWith('"')))) return false;
  const quoted = sampleRecords(lines, { delimiter: '\t', quotes: true });
  const width = given ?? plain[0]!.length;
  const plainShare = agreement(plain, width);
  const quotedShare = agreement(quoted, width);
  if (plainShare !== quotedShare) return quotedShare > plainShare;
  const rows = plain.slice(given === undefined ? 1 : 0);
  return Array.from({ length: width }, (_, column) =>
    rows.map((row) => row[column] ?? '').filter((cell) => cell !== ''),
  ).some((cells) => cells.length > 0 && cells.every(wrapped));
}

/** The first records; one that cannot be read counts as a record without fields. */
function sampleRecords(lines: readonly string[], dialect: CsvDialect): string[][] {
  const parseRecord = recordParser(dialect);
  const records: string[][] = [];
  for (let at = 0; at < lines.length && records.length < SAMPLE_RECORDS; at++) {
    const group = [lines[at]!];
    let state = dialect.quotes ? scanLine(group[0]!, dialect.delimiter, false) : 'complete';
    while (state === 'open' && at + group.length < lines.length) {
      const more = lines[at + group.length]!;
      group.push(more);
      state = scanLine(more, dialect.delimiter, true);
    }
    if (state !== 'complete') {
      records.push([]);
      continue;
    }
    at += group.length - 1;
    const text = group.join('\n');
    if (text.trim() !== '') records.push(safely(parseRecord, text));
  }
  return records;
}

function safely(parseRecord: (text: string) => string[], text: string): string[] {
  try {
    return parseRecord(text);
  } catch {
    return [];
  }
}
