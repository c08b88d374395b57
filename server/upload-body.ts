import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { WinnowError } from '../errors.ts';
import { LIMITS } from './limits.ts';

export const IDLE_HINT = 'send it again without a pause, or start the server with a larger --body-idle-ms';

export interface BodyOptions {
  /** Aborted with a WinnowError when the client is gone or the server stops. */
  readonly signal: AbortSignal;
  /** Time in ms within which the body brings 1 KB more, or ends. */
  readonly idleMs: number;
  /** `content-encoding`: none or gzip. */
  readonly encoding: string | undefined;
}

/**
 * The chunks of a request's body, unpacked. Nothing is read ahead of the consumer beyond some 64 KB, and the clock runs only
 * while it waits for the client.
 *
 * An error leaves the socket alone, so that it can be answered.
 *
 * @throws WinnowError WINNOW_TIMEOUT, WINNOW_TOO_LARGE (unpacked), WINNOW_MEDIA_TYPE, WINNOW_BAD_ROW (no gzip), or the signal's reason
 */
export async function* readBody(
  raw: Readable,
  { signal, idleMs, encoding = 'identity' }: BodyOptions,
): AsyncGenerator<Buffer> {
  const chunks = timed(raw, signal, idleMs);
  if (encoding === 'identity') yield* chunks;
  else if (/^(x-)?gzip$/i.test(encoding)) yield* unpacked(chunks);
  else
    throw new WinnowError('WINNOW_MEDIA_TYPE', `content-encoding ${JSON.stringify(encoding)} is not read`, {
      place: 'content-encoding',
      hint: 'send the body as it is, or with content-encoding: gzip',
    });
}

async function* timed(raw: Readable, signal: AbortSignal, idleMs: number): AsyncGenerator<Buffer> {
  raw.on('error', () => {}); // an error after the consumer has gone must not end the process
  const iterator = raw[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  let leftMs = idleMs;
  let bytes = 0;
  while (true) {
    const started = performance.now();
    const next = await nextWithin(iterator, leftMs, idleMs, signal);
    if (next.done) return;
    bytes += next.value.length;
    leftMs -= performance.now() - started;
    if (bytes >= LIMITS.bodyProgressBytes) {
      bytes = 0;
      leftMs = idleMs;
    }
    yield next.value;
  }
}

function nextWithin(
  iterator: AsyncIterator<Buffer>,
  leftMs: number,
  idleMs: number,
  signal: AbortSignal,
): Promise<IteratorResult<Buffer>> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
    };
    const abort = (): void => {
      end();
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      end();
      reject(
        new WinnowError('WINNOW_TIMEOUT', `the body brought nothing more for ${idleMs} ms`, {
          place: 'request body',
          hint: IDLE_HINT,
        }),
      );
    }, leftMs);
    signal.addEventListener('abort', abort);
    iterator.next().then(
      (result) => {
        end();
        resolve(result);
      },
      (error) => {
        end();
        reject(error);
      },
    );
  });
}

async function* unpacked(chunks: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  let packedBytes = 0;
  let failure: unknown;
  async function* counted(): AsyncGenerator<Buffer> {
    try {
      for await (const chunk of chunks) {
        packedBytes += chunk.length;
        yield chunk;
      }
    } catch (error) {
      failure = error;
      throw error;
    }
  }
  const packed = Readable.from(counted(), { objectMode: false });
  const gunzip = createGunzip();
  packed.on('error', (error) => gunzip.destroy(error));
  packed.pipe(gunzip);
  let bytes = 0;
  try {
    for await (const chunk of gunzip as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > LIMITS.unpackedBytes && bytes > packedBytes * LIMITS.unpackRatio)
        throw new WinnowError(
          'WINNOW_TOO_LARGE',
          `the body unpacks to more than ${LIMITS.unpackRatio} times its size`,
          { place: 'content-encoding', hint: 'send it without content-encoding' },
        );
      yield chunk;
    }
  } catch (error) {
    if (failure !== undefined) throw failure;
    if (error instanceof WinnowError) throw error;
    throw new WinnowError('WINNOW_BAD_ROW', `the body is no whole gzip: ${(error as Error).message}`, {
      place: 'content-encoding',
      hint: 'send it again, or without content-encoding',
      cause: error,
    });
  } finally {
    packed.unpipe(gunzip);
    gunzip.destroy();
  }
}
