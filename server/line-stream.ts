import { once } from 'node:events';
import { PassThrough, type Readable } from 'node:stream';

/**
 * Bytes of an answer that wait for a client which is still sending. Most clients read nothing before they have sent all, and would
 * wait for the server for ever if it waited for them; beyond this many bytes it does.
 */
const WAITING_BYTES = 64 * 1024 * 1024;

/** An answer of one JSON value per line. */
export class LineStream {
  private readonly lines = new PassThrough({ highWaterMark: WAITING_BYTES });

  constructor() {
    this.lines.on('error', () => {}); // a client that is gone must not end the process
  }

  get readable(): Readable {
    return this.lines;
  }

  /** @param signal ends the waiting for a client that reads too slowly, with its reason */
  async write(value: unknown, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.lines.write(`${JSON.stringify(value)}\n`)) return;
    await once(this.lines, 'drain', { signal });
  }

  end(value: unknown): void {
    if (this.lines.destroyed) return;
    this.lines.end(`${JSON.stringify(value)}\n`);
  }
}
