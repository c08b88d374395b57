import { isAscii } from 'node:buffer';
import { WinnowError } from '../errors.ts';

/** Bytes examined after the first one that is not ASCII, to distinguish UTF-8 from Windows-1252. */
const DECISION_BYTES = 4096;
/** Bytes looked at for the NUL bytes of UTF-16 without a byte order mark. */
const NUL_SAMPLE_BYTES = 1024;

export interface EncodingOptions {
  /** A label of the WHATWG Encoding Standard, such as `windows-1252`; absent: detected. */
  readonly encoding?: string;
  /** Whether bytes that are no UTF-8 may be taken for Windows-1252; otherwise they stay as they are. */
  readonly guessLegacy?: boolean;
  /** Called once with the label when the encoding was detected to be other than UTF-8. */
  readonly onDetected?: (label: string) => void;
}

/** @throws WinnowError WINNOW_BAD_ARGUMENT when there is no such encoding */
export function checkEncoding(label: string): void {
  try {
    new TextDecoder(label);
  } catch (cause) {
    throw new WinnowError('WINNOW_BAD_ARGUMENT', `there is no encoding "${label}"`, {
      place: 'encoding',
      hint: 'for example utf-8, utf-16le, windows-1252, iso-8859-2 or shift_jis',
      cause,
    });
  }
}

/**
 * The same text as UTF-8. Without a given encoding a byte order mark decides, then the NUL bytes of UTF-16. Where
 * `guessLegacy` allows it, the first bytes that are not ASCII decide between UTF-8 and Windows-1252: until then the two
 * are the same, so a file of any length is decided by its own accents and not by its first page.
 */
export async function* toUtf8(
  chunks: AsyncIterable<Buffer>,
  { encoding, guessLegacy = false, onDetected }: EncodingOptions,
): AsyncGenerator<Buffer> {
  const source = chunks[Symbol.asyncIterator]();
  const next = async (): Promise<Buffer | undefined> => {
    const step = await source.next();
    return step.done ? undefined : step.value;
  };
  /** Appends chunks to `start` until it has `length` bytes or the stream ends. */
  const fill = async (start: Buffer, length: number): Promise<Buffer> => {
    const parts = [start];
    for (let size = start.length; size < length; ) {
      const more = await next();
      if (more === undefined) break;
      parts.push(more);
      size += more.length;
    }
    return parts.length === 1 ? start : Buffer.concat(parts);
  };
  const rest = async function* (first: Buffer, label: string | undefined): AsyncGenerator<Buffer> {
    const decoder = label === undefined ? undefined : new TextDecoder(label);
    for (let chunk: Buffer | undefined = first; chunk !== undefined; chunk = await next())
      yield decoder ? Buffer.from(decoder.decode(chunk, { stream: true })) : chunk;
    if (decoder) yield Buffer.from(decoder.decode());
  };

  try {
    if (encoding !== undefined) {
      const isUtf8 = new TextDecoder(encoding).encoding === 'utf-8';
      yield* rest(Buffer.alloc(0), isUtf8 ? undefined : encoding);
      return;
    }
    let chunk: Buffer | undefined = await fill(Buffer.alloc(0), 4);
    const unicode = detectUnicode(chunk);
    if (unicode !== undefined && unicode !== 'utf-8') onDetected?.(unicode);
    if (unicode !== undefined || !guessLegacy) {
      yield* rest(chunk, unicode === 'utf-8' ? undefined : unicode);
      return;
    }
    for (; chunk !== undefined; chunk = await next()) {
      if (isAscii(chunk)) {
        yield chunk;
        continue;
      }
      const from = chunk.findIndex((byte) => byte > 0x7f);
      const sample = await fill(chunk, from + DECISION_BYTES);
      const legacy = isLegacy(sample.subarray(from));
      if (legacy) onDetected?.('windows-1252');
      yield* rest(sample, legacy ? 'windows-1252' : undefined);
      return;
    }
  } finally {
    await source.return?.();
  }
}

/** The Unicode encoding that a byte order mark or NUL bytes show. */
export function detectUnicode(bytes: Buffer): 'utf-8' | 'utf-16le' | 'utf-16be' | undefined {
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) return 'utf-8';
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return 'utf-16le';
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return 'utf-16be';
  const pairs = Math.min(bytes.length, NUL_SAMPLE_BYTES) >> 1;
  let even = 0;
  let odd = 0;
  for (let pair = 0; pair < pairs; pair++) {
    if (bytes[2 * pair] === 0) even++;
    if (bytes[2 * pair + 1] === 0) odd++;
  }
  // Blanks, digits and delimiters of any language have a zero half, and no text has two zero halves in a row.
  if (odd > pairs / 5 && even === 0) return 'utf-16le';
  if (even > pairs / 5 && odd === 0) return 'utf-16be';
  return undefined;
}

/** Whether more bytes break the rules of UTF-8 than there are characters that follow them. */
function isLegacy(bytes: Buffer): boolean {
  let sound = 0;
  let broken = 0;
  for (let at = 0; at < bytes.length; ) {
    const byte = bytes[at]!;
    if (byte < 0x80) {
      at++;
      continue;
    }
    const length = byte >= 0xf0 && byte < 0xf5 ? 4 : byte >= 0xe0 ? 3 : 2;
    const isLead = byte >= 0xc2 && byte < 0xf5;
    // A sequence cut by the end of the sample is no evidence.
    if (isLead && at + length > bytes.length && bytes.length - at < 4 && bytes.length >= DECISION_BYTES)
      break;
    let follow = 1;
    while (isLead && follow < length && (bytes[at + follow]! & 0xc0) === 0x80) follow++;
    if (isLead && follow === length) {
      sound++;
      at += length;
    } else {
      broken++;
      at++;
    }
  }
  return broken > sound;
}

/** Name of an encoding for messages. */
export function encodingName(label: string): string {
  return label === 'windows-1252' ? 'Windows-1252 (Latin-1)' : label.toUpperCase();
}
