/** A line of a byte stream without its line end. `offset` is its first byte in the stream, `line` counts from 1. */
export interface Line {
  readonly line: number;
  readonly offset: number;
  /** Valid for as long as the caller keeps it; absent when the line was longer than the limit. */
  readonly bytes?: Buffer;
  /** Of a line that was too long: its first bytes, up to 1,024. */
  readonly head?: Buffer;
  /** Length in bytes without the line end, also of a line that was too long to keep. */
  readonly sizeBytes: number;
}

/** Longest line kept by default: 10 MB, forty times the longest document of the BEIR sets. */
export const DEFAULT_MAX_LINE_BYTES = 10_000_000;

const HEAD_BYTES = 1024;
const NEWLINE = 10;
const CARRIAGE_RETURN = 13;

/** Where lines end: `\n` (with or without a carriage return before it), or `\r` alone as in files of old Macs. */
export type LineEnd = 'lf' | 'cr';

/**
 * Splits a byte stream at its line ends. A line over `maxLineBytes` is counted but never held in memory, so memory is
 * bounded by one chunk plus one line. The last line needs no line end; an empty stream has no lines.
 *
 * @param maxLineBytes longest line to keep, >= 1
 */
export async function* readLines(
  chunks: AsyncIterable<Buffer>,
  maxLineBytes: number = DEFAULT_MAX_LINE_BYTES,
  lineEnd: LineEnd = 'lf',
): AsyncGenerator<Line> {
  const endByte = lineEnd === 'lf' ? NEWLINE : CARRIAGE_RETURN;
  let parts: Buffer[] = [];
  let head: Buffer | undefined;
  let sizeBytes = 0;
  let line = 1;
  let lineOffset = 0;
  let chunkOffset = 0;

  const finish = (last: Buffer): Line => {
    sizeBytes += last.length;
    const whole = parts.length === 0 ? last : Buffer.concat([...parts, last]);
    const complete = whole.length === sizeBytes;
    // A long line keeps no bytes, so its carriage return cannot be seen and stays in the count.
    const end = complete && whole[sizeBytes - 1] === CARRIAGE_RETURN ? sizeBytes - 1 : sizeBytes;
    const found: Line =
      complete && end <= maxLineBytes
        ? { line, offset: lineOffset, bytes: whole.subarray(0, end), sizeBytes: end }
        : {
            line,
            offset: lineOffset,
            head: head ?? Buffer.from(whole.subarray(0, HEAD_BYTES)),
            sizeBytes: end,
          };
    parts = [];
    head = undefined;
    sizeBytes = 0;
    line++;
    return found;
  };

  for await (const chunk of chunks) {
    let from = 0;
    for (let at = chunk.indexOf(endByte); at >= 0; at = chunk.indexOf(endByte, from)) {
      const found = finish(chunk.subarray(from, at));
      from = at + 1;
      lineOffset = chunkOffset + from;
      yield found;
    }
    const rest = chunk.subarray(from);
    chunkOffset += chunk.length;
    if (rest.length === 0) continue;
    sizeBytes += rest.length;
    // One byte over the limit may still be the carriage return of a line that fits.
    if (sizeBytes <= maxLineBytes + 1) parts.push(Buffer.from(rest));
    else {
      head ??= Buffer.from(Buffer.concat([...parts, rest]).subarray(0, HEAD_BYTES));
      parts = [];
    }
  }
  if (sizeBytes > 0) yield finish(Buffer.alloc(0));
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true });

/** Text of UTF-8 bytes, or undefined where they are not UTF-8. A byte order mark at the start is dropped. */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return strictUtf8.decode(bytes);
  } catch {
    return undefined;
  }
}
