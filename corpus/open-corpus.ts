import { stat } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import { WinnowError } from '../errors.ts';
import {
  type CorpusProgress,
  fileSize,
  findFile,
  isZip,
  newProgress,
  uncompressedName,
} from './byte-source.ts';
import { contentHash } from './content-hash.ts';
import { type CsvOptions, readCsv } from './csv.ts';
import { type ReadItem, readJsonl } from './jsonl.ts';
import type { Section } from './sections.ts';
import { isTextFile, readTextFile, type TextFileOptions, walkTextFiles } from './text-files.ts';
import type { CorpusDocument, SourceLocation } from './types.ts';

export type CorpusFormat = 'beir' | 'jsonl' | 'csv' | 'text-folder' | 'text-file';

export interface CorpusOptions extends CsvOptions, TextFileOptions {
  /** Overrides what the name tells: `corpus.data` with format `jsonl`. */
  readonly format?: CorpusFormat;
  /** Throw at the first bad row instead of handing it out. Default false. */
  readonly strict?: boolean;
  /**
   * How many ids are remembered to find duplicates, 0.. (about 100 bytes each). After that many documents new
   * duplicates pass unnoticed; the index then keeps the last one. Default 1,000,000.
   */
  readonly maxTrackedIds?: number;
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
  | { readonly error: WinnowError; readonly location: SourceLocation };

/** A corpus ready to be read once. */
export interface Corpus extends AsyncIterable<CorpusItem> {
  readonly path: string;
  readonly format: CorpusFormat;
  /** Updated in place while items are consumed; for one file watch the bytes, for a folder the files. */
  readonly progress: Readonly<CorpusProgress>;
}

/**
 * Recognises a BEIR folder (one with corpus.jsonl), a .jsonl/.ndjson, .csv/.tsv, Markdown, HTML or text file, or a folder
 * of such files, and streams its documents. JSON Lines and CSV may be compressed (`.gz`, `.xz`), and
 * a BEIR folder may be a `.zip`. A bad row comes out as
 * an `error` item in its place; the stream itself throws only with `strict`. A corpus without a single row ends with an
 * `error` item of code WINNOW_EMPTY_CORPUS.
 *
 * @throws WinnowError WINNOW_NOT_FOUND, WINNOW_UNKNOWN_FORMAT, WINNOW_BAD_ARGUMENT (an option out of range)
 */
export async function openCorpus(path: string, options: CorpusOptions = {}): Promise<Corpus> {
  checkOptions(options);
  const format = options.format ?? (await detectFormat(path));
  const progress = newProgress();
  const file = format === 'beir' ? await beirCorpusFile(path) : path;
  if (format === 'text-folder') {
    for await (const name of walkTextFiles(path)) {
      progress.filesTotal++;
      progress.bytesTotal += await fileSize(join(path, name));
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
  if (options.delimiter !== undefined && (options.delimiter.length !== 1 || options.delimiter === '"'))
    throw new WinnowError('WINNOW_BAD_ARGUMENT', 'must be one character other than the quote', {
      place: 'delimiter',
    });
}

/** Which reader a path needs. @throws WinnowError WINNOW_NOT_FOUND, WINNOW_UNKNOWN_FORMAT */
export async function detectFormat(path: string): Promise<CorpusFormat> {
  const found = await stat(path).catch(() => {
    throw notFound(path);
  });
  if (isZip(path)) return 'beir';
  if (found.isDirectory()) {
    const file = await beirCorpusFile(path).catch(() => undefined);
    return file === undefined ? 'text-folder' : 'beir';
  }
  const name = uncompressedName(path);
  const ending = extname(name).toLowerCase();
  if (ending === '.jsonl' || ending === '.ndjson') return 'jsonl';
  if (ending === '.csv' || ending === '.tsv') return 'csv';
  if (isTextFile(path)) return 'text-file';
  throw new WinnowError(
    'WINNOW_UNKNOWN_FORMAT',
    `cannot tell the format of "${basename(path)}" from its name`,
    {
      place: path,
      hint: 'use .jsonl, .ndjson, .csv, .tsv, .md, .html or .txt, or name the format',
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
    for await (const name of walkTextFiles(file))
      yield await readTextFile(join(file, name), name, options, progress);
  } else if (format === 'text-file') yield await readTextFile(file, basename(file), options, progress);
  else {
    yield* format === 'csv' ? readCsv(file, options, progress) : readJsonl(file, options, progress);
    progress.filesRead++;
  }
}

/** Adds hashes and counts, finds duplicate ids, and turns a failing file into a last error item. */
async function* checkedItems(
  rows: AsyncGenerator<RawItem>,
  file: string,
  options: CorpusOptions,
  progress: CorpusProgress,
): AsyncGenerator<CorpusItem> {
  const maxTracked = options.maxTrackedIds ?? 1_000_000;
  const firstLines = new Map<string, number>();
  let lastLine = 1;

  const refuse = (error: WinnowError, location: SourceLocation): CorpusItem => {
    progress.errors++;
    if (options.strict) throw error;
    return { error, location };
  };

  const source = rows[Symbol.asyncIterator]();
  try {
    for (;;) {
      let step: IteratorResult<RawItem>;
      try {
        step = await source.next();
      } catch (cause) {
        const error =
          cause instanceof WinnowError
            ? cause
            : new WinnowError('WINNOW_BAD_ROW', `reading stopped: ${(cause as Error).message}`, {
                place: `${file}:${lastLine}`,
                hint: 'the file may be damaged or cut short',
                cause,
              });
        yield refuse(error, { file, line: lastLine });
        return;
      }
      if (step.done) break;
      const item = step.value;
      lastLine = item.location.line;
      if ('error' in item) {
        yield refuse(item.error, item.location);
        continue;
      }
      const { document, location, sections } = item;
      const earlier = firstLines.get(document.id);
      if (earlier !== undefined) {
        const error = new WinnowError(
          'WINNOW_BAD_ROW',
          `the id "${document.id}" was already used on line ${earlier}`,
          { place: `${location.file}:${location.line}`, hint: 'give every document its own id' },
        );
        yield refuse(error, location);
        continue;
      }
      if (firstLines.size < maxTracked) firstLines.set(document.id, location.line);
      progress.documents++;
      yield { document, location, contentHash: contentHash(document), ...(sections ? { sections } : {}) };
    }
  } finally {
    await source.return(undefined);
  }
  if (progress.documents === 0 && progress.errors === 0)
    yield refuse(
      new WinnowError('WINNOW_EMPTY_CORPUS', 'there is no document in it', {
        place: file,
        hint: 'give a BEIR folder, a .jsonl or .csv file, or a folder of Markdown, HTML or text files',
      }),
      { file, line: 1 },
    );
}
