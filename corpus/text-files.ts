import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import { WinnowError } from '../errors.ts';
import type { CorpusProgress } from './byte-source.ts';
import { checkId, RowProblem, toMetadata } from './document-row.ts';
import { parseHtml } from './html.ts';
import { decodeUtf8 } from './lines.ts';
import { parseMarkdown } from './markdown.ts';
import type { Section } from './sections.ts';
import type { CorpusDocument, SourceLocation } from './types.ts';

const MARKDOWN = new Set(['.md', '.markdown', '.mdx', '.mdown']);
const HTML = new Set(['.html', '.htm', '.xhtml']);
const PLAIN = new Set(['.txt', '.text', '.rst', '.adoc', '.org']);

/** Largest text file read by default, in bytes: a file is held in memory whole. */
const DEFAULT_MAX_FILE_BYTES = 20_000_000;

export interface TextFileOptions {
  /** Larger files are reported and skipped. 1.., default 20,000,000. */
  readonly maxFileBytes?: number;
}

export type TextFileItem =
  | {
      readonly document: CorpusDocument;
      readonly sections: readonly Section[];
      readonly location: SourceLocation;
    }
  | { readonly error: WinnowError; readonly location: SourceLocation };

/** Whether a file name ends like Markdown, HTML or plain text. */
export function isTextFile(name: string): boolean {
  const ending = extname(name).toLowerCase();
  return MARKDOWN.has(ending) || HTML.has(ending) || PLAIN.has(ending);
}

/**
 * Paths of the text files under a folder, relative with `/`, sorted within each folder. Names that start with a dot,
 * node_modules and links to folders are left out. Memory grows with the largest folder, not with the tree.
 */
export async function* walkTextFiles(root: string, below = ''): AsyncGenerator<string> {
  const entries = await readdir(join(root, below), { withFileTypes: true });
  entries.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  for (const entry of entries) {
    if (entry.name.startsWith('.') || entry.name === 'node_modules') continue;
    const path = below === '' ? entry.name : `${below}/${entry.name}`;
    if (entry.isDirectory()) yield* walkTextFiles(root, path);
    else if (isTextFile(entry.name) && (entry.isFile() || (await isLinkToFile(join(root, path))))) yield path;
  }
}

async function isLinkToFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
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
  const location = { file, line: 1 };
  const maxFileBytes = options.maxFileBytes ?? DEFAULT_MAX_FILE_BYTES;
  try {
    progress.filesRead++;
    const { size } = await stat(file);
    if (size > maxFileBytes)
      throw new RowProblem(
        'WINNOW_ROW_TOO_LONG',
        `the file has ${size} bytes, the limit is ${maxFileBytes}`,
        'raise maxFileBytes or split the file',
      );
    const bytes = await readFile(file);
    progress.bytesRead += bytes.length;
    const { title, text, sections, frontMatter } = structure(decodeText(bytes, file), file);
    if (text.trim() === '' && title === '') throw new RowProblem('WINNOW_EMPTY_TEXT', 'the file has no text');
    const metadata = toMetadata([
      ...Object.entries(frontMatter).filter(([name]) => name !== 'title'),
      ['path', id],
    ]);
    return { document: { id: checkId(id), title, text, metadata }, sections, location };
  } catch (error) {
    if (error instanceof RowProblem) return { error: error.at(file, 1), location };
    const reason = (error as Error).message;
    return {
      error: new WinnowError('WINNOW_BAD_ROW', `cannot be read: ${reason}`, {
        place: `${file}:1`,
        cause: error,
      }),
      location,
    };
  }
}

function structure(text: string, file: string) {
  const ending = extname(file).toLowerCase();
  if (MARKDOWN.has(ending)) return parseMarkdown(text);
  if (HTML.has(ending)) return { ...parseHtml(text), frontMatter: {} };
  const title = basename(file, extname(file)).replace(/[-_]+/g, ' ').trim();
  return { title, text, sections: [{ headings: [], start: 0, end: text.length }], frontMatter: {} };
}

/** UTF-8 text; an HTML page may also name another encoding in its first kilobyte. @throws RowProblem */
function decodeText(bytes: Buffer, file: string): string {
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
    'convert it to UTF-8, for example with iconv',
  );
}
