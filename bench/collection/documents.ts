// The documents of a source, before they are cut into passages.
import { existsSync, readFileSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { newProgress, openBytes, uncompressedName } from '../../corpus/byte-source.ts';
import type { Section } from '../../corpus/sections.ts';
import { isTextFile, readTextFile } from '../../corpus/text-files.ts';
import { filesBelow, packageDescriptions, renderedManuals, unpackedPackage } from './debian.ts';
import type { CollectionSource } from './sources.ts';

export interface SourceDocument {
  readonly id: string;
  readonly title: string;
  readonly text: string;
  readonly sections?: readonly Section[];
}

/** Reads a document when it is needed; undefined for one that cannot be read as text. */
export type DocumentReader = () => SourceDocument | undefined | Promise<SourceDocument | undefined>;

/**
 * @param packages folder where Debian packages are kept
 * @param texts folder of the files that `text` names
 * @throws WinnowError WINNOW_NOT_FOUND for a package or file that is not to be had
 */
export async function sourceDocuments(
  source: CollectionSource,
  { packages, texts }: { readonly packages: string; readonly texts: string },
): Promise<DocumentReader[]> {
  const readers: DocumentReader[] = [];
  if (source.read === 'descriptions')
    for (const { name, text } of packageDescriptions()) readers.push(() => ({ id: name, title: name, text }));
  for (const name of source.debian ?? []) {
    const folder = unpackedPackage(name, packages);
    if (source.read === 'rfc') readers.push(...rfcDocuments(folder));
    else readers.push(...fileDocuments(source.read === 'manual' ? renderedManuals(folder) : folder, name));
  }
  for (const file of source.text ?? []) readers.push(...(await textDocuments(join(texts, file))));
  return readers;
}

/** The plain texts of RFCs with their titles, which a JSON file beside each has. */
function rfcDocuments(folder: string): DocumentReader[] {
  return filesBelow(folder)
    .filter((path) => /\/rfc\d+\.txt\.gz$/.test(path))
    .map((file) => () => {
      const facts = file.replace(/\.txt\.gz$/, '.json');
      const title: string = existsSync(facts) ? JSON.parse(readFileSync(facts, 'utf8')).title : '';
      const text = withoutPageBreaks(gunzipSync(readFileSync(file)).toString('utf8'));
      return { id: basename(file, '.txt.gz'), title, text };
    });
}

/** Text without the last line of each page, the form feed, the first line of the next page, and the indentation. */
function withoutPageBreaks(text: string): string {
  return text
    .replace(/\r/g, '')
    .replace(/\n+[^\n]*\[Page [^\]\n]*\][ \t]*\n*\f\n*[^\n]*\n+/g, '\n\n')
    .replace(/\f/g, '\n')
    .replace(/^ {3}/gm, '');
}

/** HTML, Markdown and plain text, as the product reads them. */
function fileDocuments(folder: string, name: string): DocumentReader[] {
  return filesBelow(folder)
    .filter((file) => isTextFile(uncompressedName(file)))
    .map((file) => async () => {
      const item = await readTextFile(file, `${name}/${relative(folder, file)}`, {}, newProgress());
      return 'error' in item ? undefined : { ...item.document, sections: item.sections };
    });
}

/** The lines of a text file, or the positives of training pairs, where several pairs in a row may have the same. */
async function textDocuments(file: string): Promise<DocumentReader[]> {
  const name = basename(file).split('.')[0]!;
  return (await linesOf(file)).map((line, i) => () => {
    const text: string | null = file.includes('.jsonl') ? JSON.parse(line).positive : line;
    return text === null ? undefined : { id: `${name}/${i}`, title: '', text };
  });
}

/** The lines of a file, which may be compressed. */
export async function linesOf(file: string): Promise<string[]> {
  const chunks: Buffer[] = [];
  for await (const chunk of openBytes(file, () => {})) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8').split('\n').filter(Boolean);
}
