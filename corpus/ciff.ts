import protobuf from 'protobufjs/minimal.js';
import { WinnowError } from '../errors.ts';
import { openBytes, readFailure } from './byte-source.ts';

/**
 * The Common Index File Format (Lin et al., SIGIR 2020): length-delimited protobuf messages, a Header, its posting lists,
 * then its document records. Impact indexes carry impacts where others carry term frequencies.
 */
export interface CiffHeader {
  readonly numPostingsLists: number;
  readonly numDocs: number;
  readonly averageDocumentLength: number;
  readonly description: string;
}

export interface CiffPostings {
  readonly term: string;
  /** Ascending. */
  readonly docIds: Uint32Array;
  /** Term frequency or impact of each, >= 1. */
  readonly values: Uint32Array;
}

export interface CiffDocument {
  readonly docId: number;
  /** Its id in the collection. */
  readonly id: string;
  readonly length: number;
}

/** What a CIFF file says, in the order of the file. */
export type CiffItem =
  | { readonly header: CiffHeader }
  | { readonly postings: CiffPostings }
  | { readonly document: CiffDocument };

const VERSION = 1;
/** A posting list of 100 million documents stays below. */
const MAX_MESSAGE_BYTES = 1 << 30;

/**
 * Reads a CIFF file, plain, `.gz` or `.xz`; one message at a time is in memory.
 *
 * @throws WinnowError WINNOW_BAD_DATASET when it is damaged, cut short or of another version
 */
export async function* readCiff(path: string): AsyncGenerator<CiffItem> {
  let header: CiffHeader | undefined;
  let lists = 0;
  let documents = 0;
  for await (const { message, offset } of delimited(path)) {
    try {
      const reader = protobuf.Reader.create(message);
      if (!header) {
        header = decodeHeader(reader);
        yield { header };
      } else if (lists < header.numPostingsLists) {
        lists++;
        yield { postings: decodePostings(reader) };
      } else {
        documents++;
        yield { document: decodeDocument(reader) };
      }
    } catch (error) {
      if (error instanceof WinnowError) throw error;
      throw damaged(path, offset, (error as Error).message);
    }
  }
  if (!header || lists < header.numPostingsLists || documents !== header.numDocs)
    throw damaged(
      path,
      undefined,
      `${lists} posting lists and ${documents} documents, the header says ${header?.numPostingsLists ?? 0} and ${header?.numDocs ?? 0}`,
    );
}

function damaged(path: string, offset: number | undefined, message: string): WinnowError {
  return new WinnowError('WINNOW_BAD_DATASET', `not a sound CIFF file: ${message}`, {
    place: offset === undefined ? path : `${path}, byte ${offset}`,
    hint: 'write it again with the tool it came from',
  });
}

async function* bytesOf(path: string): AsyncGenerator<Buffer> {
  try {
    yield* openBytes(path);
  } catch (error) {
    throw readFailure(error, path);
  }
}

/** Splits a stream into its length-delimited messages. */
async function* delimited(path: string): AsyncGenerator<{ message: Uint8Array; offset: number }> {
  let chunks: Buffer[] = [];
  let held = 0;
  let offset = 0;
  let needed = 1;
  for await (const chunk of bytesOf(path)) {
    chunks.push(chunk);
    held += chunk.length;
    if (held < needed) continue;
    const bytes = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
    let at = 0;
    for (;;) {
      const length = varint(bytes, at);
      if (!length) {
        needed = bytes.length - at + 1;
        break;
      }
      if (length.value > MAX_MESSAGE_BYTES)
        throw damaged(path, offset + at, `a message of ${length.value} bytes`);
      const end = length.end + length.value;
      if (end > bytes.length) {
        needed = end - at;
        break;
      }
      yield { message: bytes.subarray(length.end, end), offset: offset + at };
      at = end;
    }
    offset += at;
    held = bytes.length - at;
    chunks = held > 0 ? [bytes.subarray(at)] : [];
  }
  if (held > 0) throw damaged(path, offset, 'cut short');
}

/** An unsigned LEB128 number, or undefined while its last byte is not there. */
function varint(bytes: Uint8Array, from: number): { value: number; end: number } | undefined {
  let value = 0;
  for (let at = from, factor = 1; at < bytes.length; at++, factor *= 128) {
    value += (bytes[at]! & 127) * factor;
    if (bytes[at]! < 128 || factor > 2 ** 49) return { value, end: at + 1 };
  }
  return undefined;
}

function decodeHeader(reader: protobuf.Reader): CiffHeader {
  let version = 0;
  let numPostingsLists = 0;
  let numDocs = 0;
  let averageDocumentLength = 0;
  let description = '';
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag >>> 3 === 1) version = reader.int32();
    else if (tag >>> 3 === 2) numPostingsLists = reader.int32();
    else if (tag >>> 3 === 3) numDocs = reader.int32();
    else if (tag >>> 3 === 7) averageDocumentLength = reader.double();
    else if (tag >>> 3 === 8) description = reader.string();
    else reader.skipType(tag & 7);
  }
  if (version !== VERSION) throw new Error(`version ${version}, this reads version ${VERSION}`);
  return { numPostingsLists, numDocs, averageDocumentLength, description };
}

function decodePostings(reader: protobuf.Reader): CiffPostings {
  let term = '';
  const docIds: number[] = [];
  const values: number[] = [];
  let docId = 0;
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag >>> 3 === 1) term = reader.string();
    else if (tag >>> 3 === 4) {
      const end = reader.uint32() + reader.pos;
      let gap = 0;
      let value = 0;
      while (reader.pos < end) {
        const inner = reader.uint32();
        if (inner >>> 3 === 1) gap = reader.int32();
        else if (inner >>> 3 === 2) value = reader.int32();
        else reader.skipType(inner & 7);
      }
      // The first document id is given as it is, the others as the distance to the one before.
      if (gap < 0 || (gap === 0 && docIds.length > 0) || value < 1)
        throw new Error(`a bad posting in the list of "${term}"`);
      docId += gap;
      docIds.push(docId);
      values.push(value);
    } else reader.skipType(tag & 7);
  }
  return { term, docIds: Uint32Array.from(docIds), values: Uint32Array.from(values) };
}

function decodeDocument(reader: protobuf.Reader): CiffDocument {
  let docId = 0;
  let id = '';
  let length = 0;
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag >>> 3 === 1) docId = reader.int32();
    else if (tag >>> 3 === 2) id = reader.string();
    else if (tag >>> 3 === 3) length = reader.int32();
    else reader.skipType(tag & 7);
  }
  return { docId, id, length };
}

/**
 * Encodes an index as CIFF, one buffer per message.
 *
 * @param postings ascending by term, each with ascending document ids 0 .. documents.length - 1
 */
export function* encodeCiff(
  description: string,
  numPostingsLists: number,
  postings: Iterable<CiffPostings>,
  documents: readonly CiffDocument[],
): Generator<Uint8Array> {
  const totalLength = documents.reduce((sum, { length }) => sum + length, 0);
  yield message((writer) => {
    writer.uint32(8).int32(VERSION).uint32(16).int32(numPostingsLists).uint32(24).int32(documents.length);
    writer
      .uint32(32)
      .int32(numPostingsLists)
      .uint32(40)
      .int32(documents.length)
      .uint32(48)
      .int64(totalLength);
    writer
      .uint32(57)
      .double(totalLength / Math.max(1, documents.length))
      .uint32(66)
      .string(description);
  });
  for (const { term, docIds, values } of postings) {
    yield message((writer) => {
      const total = values.reduce((sum, value) => sum + value, 0);
      writer.uint32(10).string(term).uint32(16).int64(docIds.length).uint32(24).int64(total);
      let before = 0;
      for (let i = 0; i < docIds.length; i++) {
        writer
          .uint32(34)
          .fork()
          .uint32(8)
          .int32(docIds[i]! - before)
          .uint32(16)
          .int32(values[i]!)
          .ldelim();
        before = docIds[i]!;
      }
    });
  }
  for (const { docId, id, length } of documents)
    yield message((writer) => {
      writer.uint32(8).int32(docId).uint32(18).string(id).uint32(24).int32(length);
    });
}

function message(fill: (writer: protobuf.Writer) => void): Uint8Array {
  const writer = protobuf.Writer.create().fork();
  fill(writer);
  return writer.ldelim().finish();
}
