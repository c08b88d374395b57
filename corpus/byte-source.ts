import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';

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

export function newProgress(): CorpusProgress {
  return { bytesRead: 0, bytesTotal: 0, filesRead: 0, filesTotal: 0, documents: 0, errors: 0 };
}

/** Endings that {@link openBytes} undoes; the rest of the name tells the format. */
export const COMPRESSED = /\.(gz)$/i;

/** The file name without a compression ending: `corpus.jsonl.gz` -> `corpus.jsonl`. */
export function uncompressedName(path: string): string {
  return path.replace(COMPRESSED, '');
}

export async function fileSize(path: string): Promise<number> {
  return (await stat(path)).size;
}

/**
 * Streams a file's bytes, decompressed where its name says so. `onRead` hears how many bytes were taken from disk.
 * A read error or a damaged archive throws from the iteration; leaving the iteration early closes the file.
 */
export async function* openBytes(
  path: string,
  onRead: (bytes: number) => void = () => {},
): AsyncGenerator<Buffer> {
  const file = createReadStream(path, { highWaterMark: 1 << 18 });
  file.on('data', (chunk) => onRead(chunk.length));
  const output = /\.gz$/i.test(path) ? pipeline(file, createGunzip(), () => {}) : file;
  try {
    for await (const chunk of output) yield chunk as Buffer;
  } finally {
    file.destroy();
  }
}
