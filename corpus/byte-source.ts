import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream';
import { ReadableStream } from 'node:stream/web';
import { createGunzip } from 'node:zlib';
import { WinnowError } from '../errors.ts';
import { listZip, openZipEntry, type ZipEntry } from './zip.ts';

/** How far a corpus has been read; the object is updated in place while its items are consumed. */
export interface CorpusProgress {
  /** Bytes taken from disk so far (compressed bytes for compressed files) and in all. */
  bytesRead: number;
  bytesTotal: number;
  filesRead: number;
  filesTotal: number;
  /** Documents and errors handed out so far. */
  documents: number;
  errors: number;
}

/** Bytes taken from disk at a time: few, so that the progress of a short file is not done with its first read. */
const READ_BYTES = 16_384;

/** The path that means standard input; a file of that name is `./-`. */
export const STDIN = '-';

/** What messages call a path. */
export function sourceName(path: string): string {
  return path === STDIN ? 'standard input' : path;
}

/** Why a whole file cannot be read, as a coded error: WINNOW_NOT_FOUND where there is none, else `code`. */
export function readFailure(
  cause: unknown,
  path: string,
  code: 'WINNOW_BAD_DATASET' | 'WINNOW_BAD_ROW' = 'WINNOW_BAD_DATASET',
): WinnowError {
  if (cause instanceof WinnowError) return cause;
  const place = sourceName(path);
  if ((cause as NodeJS.ErrnoException).code === 'ENOENT')
    return new WinnowError('WINNOW_NOT_FOUND', 'no such file', { place, cause });
  return new WinnowError(code, `cannot be read: ${(cause as Error).message}`, {
    place,
    hint: 'is it a file of that kind, whole and readable?',
    cause,
  });
}

export function newProgress(): CorpusProgress {
  return { bytesRead: 0, bytesTotal: 0, filesRead: 0, filesTotal: 0, documents: 0, errors: 0 };
}

/** The file name without a compression ending: `corpus.jsonl.gz` -> `corpus.jsonl`. */
export function uncompressedName(path: string): string {
  return path.replace(/\.(?:gz|xz)$/i, '');
}

/** Whether a path names a ZIP archive, which is read like a folder. */
export function isZip(path: string): boolean {
  return /\.zip$/i.test(path);
}

/** `archive.zip#folder/file`: how a file inside an archive is named, also in error messages. */
function splitMember(path: string): { archive: string; member: string } | undefined {
  const match = /^(.*\.zip)#(.+)$/i.exec(path);
  return match ? { archive: match[1]!, member: match[2]! } : undefined;
}

async function zipEntry(archive: string, member: string): Promise<ZipEntry> {
  const entry = (await listZip(archive)).find(({ name }) => name === member);
  if (!entry) throw new Error(`there is no "${member}" in ${archive}`);
  return entry;
}

/** Bytes on disk, compressed where the file is. @throws when there is no such file */
export async function fileSize(path: string): Promise<number> {
  if (path === STDIN) return 0;
  const inside = splitMember(path);
  return inside ? (await zipEntry(inside.archive, inside.member)).compressedBytes : (await stat(path)).size;
}

/**
 * Finds the first of some files in a folder or ZIP archive, plain or with `.gz` or `.xz` added. An archive may hold all
 * its files in one top folder, as BEIR's downloads do.
 *
 * @param names paths with `/`, in order of preference
 * @returns a path for {@link openBytes}, or undefined when there is none
 * @throws Error when the archive is damaged
 */
export async function findFile(folder: string, ...names: readonly string[]): Promise<string | undefined> {
  const candidates = names.flatMap((name) => [name, `${name}.gz`, `${name}.xz`]);
  if (isZip(folder)) {
    const members = (await listZip(folder)).map(({ name }) => name);
    for (const candidate of candidates) {
      const found = members.find((name) => name === candidate || name.replace(/^[^/]+\//, '') === candidate);
      if (found !== undefined) return `${folder}#${found}`;
    }
    return undefined;
  }
  for (const candidate of candidates) {
    const path = join(folder, candidate);
    const found = await stat(path).catch(() => undefined);
    if (found?.isFile()) return path;
  }
  return undefined;
}

/**
 * Streams the bytes of a file or of standard input (`-`), decompressed where its name ends in `.gz` or `.xz`, also out of a ZIP archive (`a.zip#file`).
 * `onRead` is called with the number of bytes taken from disk. A read error or a damaged archive throws from the iteration; leaving
 * the iteration early closes the file.
 */
export async function* openBytes(
  path: string,
  onRead: (bytes: number) => void = () => {},
): AsyncGenerator<Buffer> {
  const inside = splitMember(path);
  const packed = inside
    ? openZipEntry(inside.archive, await zipEntry(inside.archive, inside.member), onRead)
    : readCounted(path, onRead);
  if (/\.xz$/i.test(path)) yield* unxz(packed);
  else if (/\.gz$/i.test(path)) yield* pipeline(packed, createGunzip(), () => {}) as AsyncIterable<Buffer>;
  else yield* packed;
}

async function* readCounted(path: string, onRead: (bytes: number) => void): AsyncGenerator<Buffer> {
  const stream = path === STDIN ? process.stdin : createReadStream(path, { highWaterMark: READ_BYTES });
  for await (const chunk of stream) {
    onRead((chunk as Buffer).length);
    yield chunk as Buffer;
  }
}

type XzModule = Pick<typeof import('xz-decompress'), 'XzReadableStream'>;

async function* unxz(packed: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  // Loaded only here: few corpora are packed so, and the decoder is WebAssembly.
  // It is CommonJS, of which plain Node shows only the default export; a test runner may show the names as well.
  const loaded = (await import('xz-decompress')) as XzModule & { readonly default?: XzModule };
  const { XzReadableStream } = loaded.default ?? loaded;
  // Readable.toWeb() throws into the void when its reader leaves early, so the bytes are handed over by hand.
  const source = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await packed.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
  });
  const plain = new XzReadableStream(source as never) as unknown as ReadableStream<Uint8Array>;
  try {
    // The decoder reuses its output buffer, so what is handed on must be a copy.
    for await (const chunk of plain) yield Buffer.from(chunk);
  } finally {
    await packed.return(undefined);
  }
}
