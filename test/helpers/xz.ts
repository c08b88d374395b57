import { crc32 } from 'node:zlib';

const CHUNK_BYTES = 65_536;

/** An .xz file that stores the bytes as they are, after The .xz File Format 1.1.0 (LZMA2 with uncompressed chunks, CRC32). */
export function storedXz(content: string | Uint8Array): Buffer {
  const plain = Buffer.from(content);
  const streamFlags = Buffer.of(0, 1);
  const header = Buffer.of(2, 0, 0x21, 1, 0x16, 0, 0, 0);
  const chunks: Buffer[] = [];
  for (let at = 0; at < plain.length; at += CHUNK_BYTES) {
    const chunk = plain.subarray(at, at + CHUNK_BYTES);
    const size = chunk.length - 1;
    chunks.push(Buffer.of(at === 0 ? 1 : 2, size >> 8, size & 0xff), chunk);
  }
  const data = Buffer.concat([...chunks, Buffer.of(0)]);
  const unpaddedSize = header.length + 4 + data.length + 4;
  const index = padded(Buffer.concat([Buffer.of(0), varint(1), varint(unpaddedSize), varint(plain.length)]));
  const backward = Buffer.alloc(4);
  backward.writeUInt32LE((index.length + 4) / 4 - 1);
  const footer = Buffer.concat([backward, streamFlags]);
  return Buffer.concat([
    Buffer.of(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0),
    streamFlags,
    checksum(streamFlags),
    header,
    checksum(header),
    padded(data),
    checksum(plain),
    index,
    checksum(index),
    checksum(footer),
    footer,
    Buffer.from('YZ'),
  ]);
}

function checksum(bytes: Buffer): Buffer {
  const sum = Buffer.alloc(4);
  sum.writeUInt32LE(crc32(bytes));
  return sum;
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return Buffer.from([...bytes, rest]);
}
