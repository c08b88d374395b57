import { open } from 'node:fs/promises';
import { pipeline } from 'node:stream';
import { createInflateRaw } from 'node:zlib';

/** A file inside a ZIP archive, as its central directory describes it. */
export interface ZipEntry {
  readonly name: string;
  /** 0 stored, 8 deflated; others are an error when read. */
  readonly method: number;
  readonly compressedBytes: number;
  readonly sizeBytes: number;
  /** Where the entry's local header starts. */
  readonly headerOffset: number;
}

// Signatures and field offsets: APPNOTE.TXT 6.3 of PKWARE, sections 4.3.7 (local header), 4.3.12 (central directory),
// 4.3.14 to 4.3.16 (end records). All numbers are little-endian.
const LOCAL_HEADER = 0x04034b50;
const CENTRAL_HEADER = 0x02014b50;
const END_RECORD = 0x06054b50;
const ZIP64_LOCATOR = 0x07064b50;
const ZIP64_END_RECORD = 0x06064b50;
const END_RECORD_BYTES = 22;
const LONGEST_COMMENT = 65_535;
/** A directory of more than this is no data set but an attack or damage. */
const LONGEST_DIRECTORY = 64 << 20;

type Handle = Awaited<ReturnType<typeof open>>;

async function read(file: Handle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  const { bytesRead } = await file.read(buffer, 0, length, position);
  if (bytesRead < length) throw new Error('the archive ends too early');
  return buffer;
}

function safe(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new Error('a size in the archive is not possible');
  return Number(value);
}

/**
 * Lists the files of a ZIP archive, folders left out; ZIP64 is understood.
 *
 * @throws Error when the archive is damaged
 */
export async function listZip(path: string): Promise<ZipEntry[]> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    const { offset, length } = await findDirectory(file, size);
    if (length > LONGEST_DIRECTORY) throw new Error(`the directory of the archive has ${length} bytes`);
    return parseDirectory(await read(file, offset, length));
  } finally {
    await file.close();
  }
}

/** Place and length of the central directory. */
async function findDirectory(file: Handle, size: number): Promise<{ offset: number; length: number }> {
  const tailStart = Math.max(0, size - END_RECORD_BYTES - LONGEST_COMMENT);
  const tail = await read(file, tailStart, size - tailStart);
  let end = tail.length - END_RECORD_BYTES;
  while (end >= 0 && tail.readUInt32LE(end) !== END_RECORD) end--;
  if (end < 0) throw new Error('not a ZIP archive, or cut short');
  const length = tail.readUInt32LE(end + 12);
  const offset = tail.readUInt32LE(end + 16);
  const locator = tailStart + end - 20;
  if ((offset !== 0xffffffff && length !== 0xffffffff) || locator < 0) return { offset, length };
  const found = await read(file, locator, 20);
  if (found.readUInt32LE(0) !== ZIP64_LOCATOR) return { offset, length };
  const record = await read(file, safe(found.readBigUInt64LE(8)), 56);
  if (record.readUInt32LE(0) !== ZIP64_END_RECORD) throw new Error('the ZIP64 end record is damaged');
  return { length: safe(record.readBigUInt64LE(40)), offset: safe(record.readBigUInt64LE(48)) };
}

function parseDirectory(directory: Buffer): ZipEntry[] {
  const entries: ZipEntry[] = [];
  for (let at = 0; at + 46 <= directory.length; ) {
    if (directory.readUInt32LE(at) !== CENTRAL_HEADER)
      throw new Error('the directory of the archive is damaged');
    const nameLength = directory.readUInt16LE(at + 28);
    const extraLength = directory.readUInt16LE(at + 30);
    const next = at + 46 + nameLength + extraLength + directory.readUInt16LE(at + 32);
    if (next > directory.length) throw new Error('the directory of the archive is damaged');
    const name = directory.toString('utf8', at + 46, at + 46 + nameLength);
    const extra = directory.subarray(at + 46 + nameLength, at + 46 + nameLength + extraLength);
    const [sizeBytes, compressedBytes, headerOffset] = wideFields(extra, [
      directory.readUInt32LE(at + 24),
      directory.readUInt32LE(at + 20),
      directory.readUInt32LE(at + 42),
    ]);
    const entry = { name, method: directory.readUInt16LE(at + 10) };
    if (!name.endsWith('/')) entries.push({ ...entry, sizeBytes, compressedBytes, headerOffset });
    at = next;
  }
  return entries;
}

/** Replaces fields of all ones by the 64-bit values of the ZIP64 extra field, which holds only those, in order. */
function wideFields(extra: Buffer, fields: [number, number, number]): [number, number, number] {
  for (let at = 0; at + 4 <= extra.length; ) {
    const length = extra.readUInt16LE(at + 2);
    if (extra.readUInt16LE(at) === 1) {
      let value = at + 4;
      return fields.map((field) => {
        if (field !== 0xffffffff || value + 8 > extra.length) return field;
        value += 8;
        return safe(extra.readBigUInt64LE(value - 8));
      }) as [number, number, number];
    }
    at += 4 + length;
  }
  return fields;
}

/**
 * Streams one file of the archive. The number of bytes is checked against the directory at the end.
 *
 * @param onRead called with the number of compressed bytes taken from disk
 * @throws Error from the iteration when the archive is damaged or packed by a method other than deflate
 */
export async function* openZipEntry(
  path: string,
  entry: ZipEntry,
  onRead: (bytes: number) => void,
): AsyncGenerator<Buffer> {
  if (entry.method !== 0 && entry.method !== 8)
    throw new Error(
      `"${entry.name}" is packed by method ${entry.method}, only stored and deflated files are read`,
    );
  const file = await open(path);
  try {
    const header = await read(file, entry.headerOffset, 30);
    if (header.readUInt32LE(0) !== LOCAL_HEADER) throw new Error(`the header of "${entry.name}" is damaged`);
    const start = entry.headerOffset + 30 + header.readUInt16LE(26) + header.readUInt16LE(28);
    const end = start + entry.compressedBytes - 1;
    if (entry.compressedBytes === 0) return;
    const packed = file.createReadStream({ start, end, autoClose: false, highWaterMark: 1 << 18 });
    const counted = async function* () {
      for await (const chunk of packed) {
        onRead((chunk as Buffer).length);
        yield chunk as Buffer;
      }
    };
    const output = entry.method === 8 ? pipeline(counted(), createInflateRaw(), () => {}) : counted();
    let sizeBytes = 0;
    for await (const chunk of output) {
      sizeBytes += (chunk as Buffer).length;
      if (sizeBytes > entry.sizeBytes) break;
      yield chunk as Buffer;
    }
    if (sizeBytes !== entry.sizeBytes)
      throw new Error(`"${entry.name}" has not the ${entry.sizeBytes} bytes that the directory promises`);
  } finally {
    await file.close();
  }
}
