import { type CorpusProgress, openBytes, sourceName } from './byte-source.ts';
import type { LineEnd } from './lines.ts';
import { type EncodingOptions, encodingName, toUtf8 } from './text-encoding.ts';
import type { CorpusNotice } from './types.ts';

/** Start of a file that is looked at to find out how it is written. */
const HEAD_BYTES = 65_536;

export interface RowSourceOptions extends Pick<EncodingOptions, 'encoding'> {
  /** Called for each assumption about how a file is written and for what is left out of a folder. */
  readonly onNotice?: (notice: CorpusNotice) => void;
}

/** A file of rows as UTF-8, with its start. */
export interface RowSource {
  readonly chunks: AsyncIterable<Buffer>;
  /** The first 64 KB, without a byte order mark. */
  readonly head: string;
  /** Whether `head` is the whole file. */
  readonly whole: boolean;
  readonly lineEnd: LineEnd;
}

/** Opens a file of rows, finds out its encoding and line ends, and reports what is out of the ordinary. */
export async function openRowSource(
  path: string,
  { encoding, onNotice }: RowSourceOptions,
  progress: CorpusProgress,
  guessLegacy: boolean,
): Promise<RowSource> {
  const bytes = openBytes(path, (count) => {
    progress.bytesRead += count;
  });
  const assume = (what: string) => onNotice?.({ place: sourceName(path), message: what });
  const utf8 = toUtf8(bytes, {
    ...(encoding === undefined ? {} : { encoding }),
    guessLegacy,
    onDetected: (label) => assume(`read as ${encodingName(label)} (--encoding overrules)`),
  });
  const { head, whole, chunks } = await peek(utf8);
  const text = new TextDecoder().decode(head);
  const lineEnd = detectLineEnd(text);
  if (lineEnd === 'cr') assume('read with a carriage return at the end of each line, as old Macs write it');
  return { chunks, head: text, whole, lineEnd };
}

/** Reads the start of a stream and gives it back in front of the rest; an error comes after what was read before it. */
async function peek(source: AsyncGenerator<Buffer>) {
  const held: Buffer[] = [];
  let length = 0;
  let whole = false;
  let failure: unknown;
  while (length < HEAD_BYTES && !whole && failure === undefined) {
    try {
      const step = await source.next();
      if (step.done) whole = true;
      else {
        held.push(step.value);
        length += step.value.length;
      }
    } catch (error) {
      failure = error;
    }
  }
  async function* chunks(): AsyncGenerator<Buffer> {
    try {
      yield* held;
      if (failure !== undefined) throw failure;
      if (!whole) yield* source;
    } finally {
      await source.return(undefined);
    }
  }
  return { head: Buffer.concat(held), whole, chunks: chunks() };
}

/** `cr` when the first line ends with a lone carriage return and these are more than the line feeds. */
function detectLineEnd(head: string): LineEnd {
  const first = /\r\n|\r|\n/.exec(head)?.[0];
  if (first !== '\r') return 'lf';
  let feeds = 0;
  let returns = 0;
  for (let at = 0; at < head.length; at++) {
    if (head[at] === '\n') feeds++;
    else if (head[at] === '\r' && head[at + 1] !== '\n') returns++;
  }
  return returns > feeds ? 'cr' : 'lf';
}
