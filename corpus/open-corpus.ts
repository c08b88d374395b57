import { stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { WinnowError } from '../errors.ts';
import {
  type CorpusProgress,
  fileSize,
  findFile,
  isZip,
  newProgress,
  readFailure,
  STDIN,
  sourceName,
} from './byte-source.ts';
import { contentHash } from './content-hash.ts';
import { type CsvOptions, readCsv } from './csv.ts';
import { type FileKind, fileKind, walkFolder } from './folder.ts';
import { type ReadItem, readJsonl, readJsonlStream } from './jsonl.ts';
import type { Section } from './sections.ts';
import { checkEncoding } from './text-encoding.ts';
import { readTextFile, type TextFileOptions } from './text-files.ts';
import type { CorpusDocument, SourceLocation, UnreadScope } from './types.ts';

export type CorpusFormat = 'beir' | 'jsonl' | 'csv' | 'text-folder' | 'text-file';

export interface CorpusOptions extends CsvOptions, TextFileOptions {
  /** Overrides the format that the name suggests: `corpus.data` with format `jsonl`. */
  readonly format?: CorpusFormat;
  /** Throw at the first bad row instead of yielding it. Default false. */
  readonly strict?: boolean;
  /** Follow symbolic links that lead out of a folder. Default false: they are left out and counted in a notice. */
  readonly followLinks?: boolean;
  /**
   * How many ids are remembered to find repeated ones, 0.. (about 150 bytes each). After that many documents new
   * repetitions are not reported, but the last row still wins. Default 1,000,000.
   */
  readonly maxTrackedIds?: number;
  /** Called when an id is repeated: the later row is yielded as well and replaces the earlier one. */
  readonly onRepeatedId?: (repeated: RepeatedId) => void;
}

/** An id that two rows have. */
export interface RepeatedId {
  readonly id: string;
  readonly earlier: SourceLocation;
  readonly later: SourceLocation;
}

/** The repetition as an error, for those who do not allow it. */
export function repeatedIdError(
  { id, earlier, later }: RepeatedId,
  code: 'WINNOW_BAD_ROW' | 'WINNOW_BAD_DATASET' = 'WINNOW_BAD_ROW',
): WinnowError {
  const where =
    earlier.file === later.file ? `on line ${earlier.line}` : `at ${earlier.file}:${earlier.line}`;
  return new WinnowError(code, `the id "${id}" was already used ${where}`, {
    place: `${later.file}:${later.line}`,
    hint: 'give every document its own id',
  });
}

export type CorpusItem =
  | {
      readonly document: CorpusDocument;
      readonly location: SourceLocation;
      /** Changes with title, text or metadata; see {@link contentHash}. */
      readonly contentHash: string;
      /** Headings of Markdown and HTML files, for {@link splitPassages}. */
      readonly sections?: readonly Section[];
    }
  | { readonly error: WinnowError; readonly location: SourceLocation; readonly unread?: UnreadScope };

/** A corpus ready to be read once. */
export interface Corpus extends AsyncIterable<CorpusItem> {
  readonly path: string;
  readonly format: CorpusFormat;
  /** Updated in place while items are consumed; for one file watch the bytes, for a folder the files. */
  readonly progress: Readonly<CorpusProgress>;
}

/** Share of a corpus that is read, 0..1; 0 where its length is not known (standard input). */
export const fractionRead = ({ progress }: Corpus): number =>
  progress.bytesTotal === 0 ? 0 : progress.bytesRead / progress.bytesTotal;

/**
 * Recognises a BEIR folder (one with corpus.jsonl), a .jsonl/.ndjson, .csv/.tsv, Markdown, HTML or text file, or a folder
 * of such files, and streams its documents; `-` with a given format is standard input. Files may be compressed (`.gz`,
 * `.xz`), and a BEIR folder may be a `.zip`. A bad row, file or subfolder comes out as an `error` item in its place; the
 * stream itself throws only with `strict`. Of rows with the same id all are handed out, so the last one wins. A corpus
 * without a single row ends with an `error` item of code WINNOW_EMPTY_CORPUS.
 *
 * @throws WinnowError WINNOW_NOT_FOUND, WINNOW_UNKNOWN_FORMAT, WINNOW_BAD_ARGUMENT (an option out of range)
 */
export async function openCorpus(path: string, options: CorpusOptions = {}): Promise<Corpus> {
  checkOptions(options);
  const format = options.format ?? (await detectFormat(path));
  const progress = newProgress();
  const file = format === 'beir' ? await beirCorpusFile(path) : path;
  if (format === 'text-folder') {
    // What is left out is reported when the folder is read.
    for await (const entry of walkFolder(path, { followLinks: options.followLinks ?? false })) {
      if ('error' in entry) continue;
      progress.filesTotal++;
      // A file that is gone by now is reported when it is read.
      progress.bytesTotal += await fileSize(join(path, entry.path)).catch(() => 0);
    }
  } else {
    progress.filesTotal = 1;
    progress.bytesTotal = await fileSize(file).catch(() => {
      throw notFound(file);
    });
  }
  const rows = () => openRows(format, file, options, progress);
  return {
    path,
    format,
    progress,
    [Symbol.asyncIterator]: () => checkedItems(rows(), file, options, progress),
  };
}

/**
 * Some files of a folder, with the ids that {@link openCorpus} of the whole folder gives them. A file that cannot be read, or is gone, is
 * an error item.
 *
 * @param paths relative to the folder, with `/`; names of other kinds than {@link fileKind} knows are skipped
 */
export async function* readFolderFiles(
  folder: string,
  paths: Iterable<string>,
  options: CorpusOptions = {},
): AsyncGenerator<CorpusItem> {
  const progress = newProgress();
  async function* rows(): AsyncGenerator<RawItem> {
    for (const path of paths) {
      const kind = fileKind(path);
      if (kind) yield* readFile(kind, join(folder, path), path, options, progress);
    }
  }
  yield* identifiedItems(rows(), options, progress);
}

/** JSON Lines from any byte stream: the items of a corpus, without an error for one without rows. */
export function openJsonlStream(
  chunks: AsyncIterable<Buffer>,
  name: string,
  options: Pick<CorpusOptions, 'onRepeatedId' | 'maxTrackedIds'> = {},
): AsyncGenerator<CorpusItem> {
  return identifiedItems(readJsonlStream(chunks, name), options, newProgress());
}

function notFound(path: string): WinnowError {
  return new WinnowError('WINNOW_NOT_FOUND', 'no such file or folder', {
    place: path,
    hint: 'give a BEIR folder, a .jsonl or .csv file, or a folder of Markdown, HTML or text files',
  });
}

function checkOptions(options: CorpusOptions): void {
  const limits = { maxLineBytes: 1, maxFileBytes: 1, maxTrackedIds: 0 } as const;
  for (const [name, least] of Object.entries(limits)) {
    const value = options[name as keyof typeof limits];
    if (value === undefined || (Number.isInteger(value) && value >= least)) continue;
    throw new WinnowError('WINNOW_BAD_ARGUMENT', `must be an integer >= ${least}, not ${value}`, {
      place: name,
    });
  }
  if (options.encoding !== undefined) checkEncoding(options.encoding);
  if (options.delimiter !== undefined && (options.delimiter.length !== 1 || options.delimiter === '"'))
    throw new WinnowError('WINNOW_BAD_ARGUMENT', 'must be one character other than the quote', {
      place: 'delimiter',
    });
}

/** Which reader a path needs. @throws WinnowError WINNOW_NOT_FOUND, WINNOW_UNKNOWN_FORMAT */
async function detectFormat(path: string): Promise<CorpusFormat> {
  if (path === STDIN)
    throw new WinnowError('WINNOW_UNKNOWN_FORMAT', 'standard input has no name that shows its format', {
      place: sourceName(path),
      hint: 'pass --format jsonl, csv or text-file',
    });
  const found = await stat(path).catch(() => {
    throw notFound(path);
  });
  if (isZip(path)) return 'beir';
  if (found.isDirectory()) {
    const file = await beirCorpusFile(path).catch(() => undefined);
    return file === undefined ? 'text-folder' : 'beir';
  }
  const kind = fileKind(path);
  if (kind) return kind === 'text' ? 'text-file' : kind;
  throw new WinnowError(
    'WINNOW_UNKNOWN_FORMAT',
    `cannot tell the format of "${basename(path)}" from its name`,
    {
      place: path,
      hint: 'use .jsonl, .ndjson, .csv, .tsv, .md, .html or .txt, or pass --format',
    },
  );
}

/** corpus.jsonl of a BEIR folder or archive, plain or compressed. @throws WinnowError WINNOW_NOT_FOUND, WINNOW_BAD_ROW */
async function beirCorpusFile(folder: string): Promise<string> {
  let file: string | undefined;
  try {
    file = await findFile(folder, 'corpus.jsonl');
  } catch (cause) {
    throw new WinnowError('WINNOW_BAD_ROW', `cannot be read: ${(cause as Error).message}`, {
      place: folder,
      cause,
    });
  }
  if (file === undefined) throw notFound(`${folder}${isZip(folder) ? '#' : '/'}corpus.jsonl`);
  return file;
}

type RawItem = ReadItem & { readonly sections?: readonly Section[] };

async function* openRows(
  format: CorpusFormat,
  file: string,
  options: CorpusOptions,
  progress: CorpusProgress,
): AsyncGenerator<RawItem> {
  if (format === 'text-folder') {
    for await (const entry of walkFolder(file, options)) {
      const path = join(file, entry.path);
      if ('error' in entry)
        yield { error: entry.error, location: { file: path, line: 1 }, unread: entry.unread };
      else yield* readFile(entry.kind, path, entry.path, options, progress);
    }
  } else {
    const kind = format === 'text-file' ? 'text' : format === 'beir' ? 'jsonl' : format;
    yield* readFile(kind, file, basename(file), options, progress);
  }
}

/** The documents of one file; what ends its reading early is its last item. */
async function* readFile(
  kind: FileKind,
  file: string,
  id: string,
  options: CorpusOptions,
  progress: CorpusProgress,
): AsyncGenerator<RawItem> {
  if (kind === 'text') {
    yield await readTextFile(file, id, options, progress);
    return;
  }
  const name = sourceName(file);
  let line = 1;
  try {
    const rows = kind === 'csv' ? readCsv(file, options, progress) : readJsonl(file, options, progress);
    for await (const item of rows) {
      line = item.location.line;
      yield item;
    }
  } catch (cause) {
    const gone = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    const error =
      cause instanceof WinnowError
        ? cause
        : gone
          ? readFailure(cause, file)
          : new WinnowError('WINNOW_BAD_ROW', `reading stopped: ${(cause as Error).message}`, {
              place: `${name}:${line}`,
              hint: 'the file may be damaged or cut short',
              cause,
            });
    yield { error, location: { file: name, line }, unread: { all: true } };
  }
  progress.filesRead++;
}

/** Adds hashes and counts, and reports repeated ids. */
async function* identifiedItems(
  rows: AsyncGenerator<RawItem>,
  options: Pick<CorpusOptions, 'strict' | 'onRepeatedId' | 'maxTrackedIds'>,
  progress: CorpusProgress,
): AsyncGenerator<CorpusItem> {
  const maxTracked = options.maxTrackedIds ?? 1_000_000;
  const locations = new Map<string, SourceLocation>();

  for await (const item of rows) {
    if ('error' in item) {
      progress.errors++;
      if (options.strict) throw item.error;
      yield item;
      continue;
    }
    const { document, location, sections } = item;
    const earlier = locations.get(document.id);
    if (earlier) {
      const repeated = { id: document.id, earlier, later: location };
      if (options.strict) throw repeatedIdError(repeated);
      options.onRepeatedId?.(repeated);
    }
    if (earlier || locations.size < maxTracked) locations.set(document.id, location);
    progress.documents++;
    yield { document, location, contentHash: contentHash(document), ...(sections ? { sections } : {}) };
  }
}

/** A corpus without a single row ends with an error. */
async function* checkedItems(
  rows: AsyncGenerator<RawItem>,
  file: string,
  options: CorpusOptions,
  progress: CorpusProgress,
): AsyncGenerator<CorpusItem> {
  yield* identifiedItems(rows, options, progress);
  if (progress.documents === 0 && progress.errors === 0) {
    const error = new WinnowError('WINNOW_EMPTY_CORPUS', 'there is no document in it', {
      place: sourceName(file),
      hint: 'give a BEIR folder, a .jsonl or .csv file, or a folder of Markdown, HTML or text files',
    });
    progress.errors++;
    if (options.strict) throw error;
    // An empty folder may be a disk that is not there: nothing may be taken for gone.
    yield { error, location: { file: sourceName(file), line: 1 }, unread: { all: true } };
  }
}
