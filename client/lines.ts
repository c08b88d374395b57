import type { IdleClock } from './idle-clock.ts';

/** The JSON values of NDJSON while it arrives. @param clock runs while a piece is waited for, not while the caller is at work */
export async function* readLines(
  stream: ReadableStream<Uint8Array>,
  clock: IdleClock,
): AsyncGenerator<unknown, void> {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  let rest = '';
  let isAtEnd = false;
  try {
    while (!isAtEnd) {
      clock.restart();
      const { done, value } = await reader.read();
      clock.pause();
      isAtEnd = done;
      const lines = (rest + (done ? decoder.decode() : decoder.decode(value, { stream: true }))).split('\n');
      rest = lines.pop()!;
      if (done && rest !== '') lines.push(rest);
      for (const line of lines) if (line.trim() !== '') yield JSON.parse(line);
    }
  } finally {
    // The caller does not want the rest.
    if (!isAtEnd) await reader.cancel().catch(() => {});
  }
}

/** A number of rows as NDJSON. */
export interface Batch {
  readonly body: string;
  readonly rows: number;
}

/** Longest body of a batch in characters, unless one row alone is longer. */
const BATCH_CHARACTERS = 1_000_000;

/** Rows as NDJSON bodies of at most `maxRows` rows. The next rows are asked for when the last body has been dealt with. */
export async function* batchesOf(
  rows: AsyncIterable<unknown> | Iterable<unknown>,
  maxRows: number,
): AsyncGenerator<Batch, void> {
  let lines: string[] = [];
  let characters = 0;
  for await (const row of rows) {
    const line = JSON.stringify(row);
    if (lines.length > 0 && (lines.length >= maxRows || characters + line.length > BATCH_CHARACTERS)) {
      yield { body: lines.join('\n'), rows: lines.length };
      lines = [];
      characters = 0;
    }
    lines.push(line);
    characters += line.length + 1;
  }
  if (lines.length > 0) yield { body: lines.join('\n'), rows: lines.length };
}
