import { createWriteStream, fstatSync, statSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { encodeCiff } from '../../corpus/ciff.ts';
import { formatJsonVector } from '../../corpus/json-vectors.ts';
import { WinnowError } from '../../errors.ts';
import { displayId, type PassageRef } from '../../indexer/format/stored-id.ts';
import type { LiveDocument, PostingsReader } from '../../indexer/store/raw-contents.ts';
import type { RawContents, RawIndex } from '../../query/embedded/raw-index.ts';
import type { InterchangeFormat, Side } from './formats.ts';

/** The path that means standard output. */
const STDOUT = '-';

/** Whether what is written to a path goes to standard output: `-`, /dev/stdout and the like. */
export function isStandardOutput(path: string): boolean {
  if (path === STDOUT) return true;
  try {
    const [output, named] = [fstatSync(1), statSync(path)];
    return !named.isFile() && output.dev === named.dev && output.ino === named.ino;
  } catch {
    return false;
  }
}

/**
 * Writes all live documents as term vectors with whole weights: to standard output, or to a file that appears under its
 * name when it is whole.
 *
 * @returns how many
 * @throws WinnowError WINNOW_STORAGE when the file cannot be written; a closed pipe ends the writing without an error
 */
export async function exportVectors(
  raw: RawIndex,
  path: string,
  format: InterchangeFormat,
  side: Side,
): Promise<number> {
  return raw.reading(async (contents) => {
    const pieces = format === 'ciff' ? ciffPieces(raw, contents, side) : jsonPieces(raw, contents, side);
    await writePieces(path, pieces);
    return contents.documents;
  });
}

async function writePieces(path: string, pieces: Iterable<string | Uint8Array>): Promise<void> {
  const toStandardOutput = isStandardOutput(path);
  // Devices and pipes cannot be renamed, so they are written to directly.
  const isSpecial = toStandardOutput || statSync(path, { throwIfNoEntry: false })?.isFile() === false;
  const target = isSpecial ? path : `${path}.part`;
  try {
    await pipeline(
      Readable.from(pieces, { objectMode: true }),
      path === STDOUT ? process.stdout : createWriteStream(target),
      { end: path !== STDOUT },
    );
    if (!isSpecial) await rename(target, path);
  } catch (cause) {
    if (cause instanceof WinnowError) throw cause;
    if (!isSpecial) await rm(target, { force: true }).catch(() => {});
    if (toStandardOutput && (cause as NodeJS.ErrnoException).code === 'EPIPE') return;
    throw new WinnowError('WINNOW_STORAGE', `cannot be written: ${(cause as Error).message}`, {
      place: path === STDOUT ? 'standard output' : path,
      cause,
    });
  }
}

/** Other engines have one name per document: that of a passage is `source#ordinal`, unless a document is called so. */
function exportedId(contents: RawContents, ref: PassageRef): string {
  const id = displayId(ref);
  if (ref.passage !== undefined && contents.has(id))
    throw new WinnowError(
      'WINNOW_BAD_DATASET',
      `passage ${ref.passage} of "${ref.id}" would be exported as "${id}", which is the id of a document`,
      { place: `document "${id}"`, hint: 'give that document another id, or index with --no-passages' },
    );
  return id;
}

function* jsonPieces({ vocabulary }: RawIndex, contents: RawContents, side: Side): Generator<string> {
  const piece = ({ ref, record }: LiveDocument, vector: ReadonlyMap<string, number>): string =>
    formatJsonVector({ id: exportedId(contents, ref), text: record()?.text ?? '', vector });
  if (side === 'words') {
    for (const document of contents.words()) yield piece(document, document.frequencies);
    return;
  }
  for (const document of contents.vectors()) {
    const { termIds, impacts } = document.vector;
    yield piece(document, new Map(Array.from(termIds, (termId, i) => [vocabulary[termId]!, impacts[i]!])));
  }
}

function ciffPieces(raw: RawIndex, contents: RawContents, side: Side): Generator<Uint8Array> {
  const description = `${raw.modelName}, ${side}`;
  return side === 'words'
    ? ciffOf(description, contents, contents.wordPostings(), (word) => word)
    : ciffOf(description, contents, contents.impactPostings(), (termId) => raw.vocabulary[termId]!);
}

function* ciffOf<Term>(
  description: string,
  contents: RawContents,
  { documents, terms, postingsOf }: PostingsReader<Term>,
  nameOf: (term: Term) => string,
): Generator<Uint8Array> {
  const sorted = [...terms]
    .map((term) => ({ term, name: nameOf(term) }))
    .sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)));
  function* postings() {
    for (const { term, name } of sorted) yield { term: name, ...postingsOf(term) };
  }
  const named = documents.map(({ ref, length }, docId) => ({ docId, id: exportedId(contents, ref), length }));
  yield* encodeCiff(description, sorted.length, postings(), named);
}
