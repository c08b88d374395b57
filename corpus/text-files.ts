import { basename, extname } from 'node:path';
import { WinnowError } from '../errors.ts';
import { type CorpusProgress, fileSize, openBytes, sourceName, uncompressedName } from './byte-source.ts';
import { checkId, RowProblem, toMetadata } from './document-row.ts';
import { parseHtml } from './html.ts';
import { decodeUtf8 } from './lines.ts';
import { parseMarkdown } from './markdown.ts';
import type { Section } from './sections.ts';
import { detectUnicode, encodingName } from './text-encoding.ts';
import type { CorpusDocument, CorpusNotice, SourceLocation, UnreadScope } from './types.ts';

const MARKDOWN = new Set(['.md', '.markdown', '.mdx', '.mdown']);
const XHTML = new Set(['.xhtml', '.xht']);
const HTML = new Set(['.html', '.htm', ...XHTML]);
const PLAIN = new Set(['.txt', '.text', '.rst', '.adoc', '.org']);

/** Largest text file read by default, in bytes: a file is held in memory whole. */
const DEFAULT_MAX_FILE_BYTES = 20_000_000;

export interface TextFileOptions {
  /** Larger files are reported and skipped. 1.., default 20,000,000. */
  readonly maxFileBytes?: number;
  /** A label of the WHATWG Encoding Standard; default UTF-8, or what a byte order mark or an HTML page says. */
  readonly encoding?: string;
  /** Called when a file is read in a detected encoding other than UTF-8, or when its markup has a slip. */
  readonly onNotice?: (notice: CorpusNotice) => void;
}

export type TextFileItem =
  | {
      readonly document: CorpusDocument;
      readonly sections: readonly Section[];
      readonly location: SourceLocation;
    }
  | { readonly error: WinnowError; readonly location: SourceLocation; readonly unread: UnreadScope };

/** Whether a file name ends like Markdown, HTML or plain text. */
export function isTextFile(name: string): boolean {
  const ending = extname(name).toLowerCase();
  return MARKDOWN.has(ending) || HTML.has(ending) || PLAIN.has(ending);
}

/**
 * Reads one file as one document with the given id; its metadata is `path` and the scalars of the front matter. Problems
 * come back as an error item, never as a throw.
 */
export async function readTextFile(
  file: string,
  id: string,
  options: TextFileOptions,
  progress: CorpusProgress,
): Promise<TextFileItem> {
  const location = { file: sourceName(file), line: 1 };
  progress.filesRead++;
  try {
    const bytes = await readWhole(file, options.maxFileBytes ?? DEFAULT_MAX_FILE_BYTES, progress);
    const plainName = uncompressedName(file);
    const { title, text, sections, frontMatter, warnings } = structure(
      decodeText(bytes, plainName, options),
      plainName,
    );
    for (const { line, message } of warnings)
      options.onNotice?.({ place: `${location.file}:${line}`, message });
    if (text.trim() === '' && title === '') throw new RowProblem('WINNOW_EMPTY_TEXT', 'the file has no text');
    const metadata = toMetadata([...Object.entries(frontMatter), ['path', id]]);
    return { document: { id: checkId(id), title, text, metadata }, sections, location };
  } catch (error) {
    const unread = { id };
    if (error instanceof RowProblem) return { error: error.at(location.file, 1), location, unread };
    const reason = (error as Error).message;
    return {
      error: new WinnowError('WINNOW_BAD_ROW', `cannot be read: ${reason}`, {
        place: `${location.file}:1`,
        cause: error,
      }),
      location,
      unread,
    };
  }
}

/** All bytes of a file, decompressed. @throws RowProblem when they are more than `maxFileBytes` */
async function readWhole(file: string, maxFileBytes: number, progress: CorpusProgress): Promise<Buffer> {
  const hint = 'raise --max-file-bytes (maxFileBytes) or split the file';
  const tooLarge = (size: string) =>
    new RowProblem('WINNOW_ROW_TOO_LONG', `the file has ${size} bytes, the limit is ${maxFileBytes}`, hint);
  const sizeOnDisk = await fileSize(file);
  if (uncompressedName(file) === file && sizeOnDisk > maxFileBytes) throw tooLarge(String(sizeOnDisk));
  const chunks: Buffer[] = [];
  let length = 0;
  const source = openBytes(file, (count) => {
    progress.bytesRead += count;
  });
  for await (const chunk of source) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > maxFileBytes) throw tooLarge(`more than ${maxFileBytes}`);
  }
  return Buffer.concat(chunks);
}

function structure(text: string, file: string) {
  const ending = extname(file).toLowerCase();
  if (MARKDOWN.has(ending)) return parseMarkdown(text);
  if (HTML.has(ending))
    return { ...parseHtml(text, XHTML.has(ending) ? { xhtml: true } : {}), frontMatter: {} };
  const title = basename(file, extname(file)).replace(/[-_]+/g, ' ').trim();
  const sections = [{ headings: [], start: 0, end: text.length }];
  return { title, text, sections, frontMatter: {}, warnings: [] };
}

/**
 * Text of the given encoding, else UTF-8 or what a byte order mark says; an HTML page may also name another encoding in its
 * first kilobyte.
 *
 * @throws RowProblem
 */
function decodeText(bytes: Buffer, file: string, { encoding, onNotice }: TextFileOptions): string {
  if (encoding !== undefined) return new TextDecoder(encoding).decode(bytes);
  const unicode = detectUnicode(bytes);
  if (unicode !== undefined && unicode !== 'utf-8') {
    onNotice?.({ place: file, message: `read as ${encodingName(unicode)} (--encoding overrules)` });
    return new TextDecoder(unicode).decode(bytes);
  }
  const utf8 = decodeUtf8(bytes);
  if (utf8 !== undefined) return utf8;
  if (HTML.has(extname(file).toLowerCase())) {
    const label = /<meta[^>]{0,200}charset\s*=\s*["']?([\w-]{1,40})/i.exec(
      bytes.toString('latin1', 0, 1024),
    )?.[1];
    try {
      if (label && !/^utf-?8$/i.test(label)) return new TextDecoder(label).decode(bytes);
    } catch {
      // An unknown label is as good as none.
    }
  }
  throw new RowProblem(
    'WINNOW_BAD_ROW',
    'the file is not valid UTF-8',
    'name the encoding with --encoding, or convert the file to UTF-8',
  );
}
