import { WinnowError } from '../../errors.ts';
import type { Awaitable, SearchBackend } from '../../query/backend.ts';

/**
 * Access to a backend that is opened when it is first used, and that may be replaced while it is in use, as a compaction does.
 * Reads go on beside everything; writes wait while the backend is being replaced.
 */
export class Gate<Backend extends SearchBackend> {
  private readonly open: () => Backend;
  private current: Backend | undefined;
  /** Calls under way by backend. */
  private readonly calls = new Map<Backend, number>();
  private writes = 0;
  private onIdle: (() => void) | undefined;
  /** Set while the backend is being replaced; resolves when writes may go on. */
  private replacing: Promise<unknown> | undefined;
  private closing: Promise<void> | undefined;

  /** @param open what it throws, the call throws that needed the backend; the next one tries again */
  constructor(open: () => Backend) {
    this.open = open;
  }

  get isOpen(): boolean {
    return this.current !== undefined;
  }

  /** The backend as of now. @throws WinnowError WINNOW_INDEX_CLOSED, and what opening throws */
  get backend(): Backend {
    if (this.closing) throw new WinnowError('WINNOW_INDEX_CLOSED', 'the collection was closed');
    this.current ??= this.open();
    return this.current;
  }

  /** Answers at once where the backend does. */
  read<T>(use: (backend: Backend) => Awaitable<T>): Awaitable<T> {
    try {
      const result = this.call(use);
      if (!(result instanceof Promise)) return result;
      return result.catch((error) => this.again(error, use));
    } catch (error) {
      return this.again(error, use);
    }
  }

  /** @param use changes the index */
  async write<T>(use: (backend: Backend) => Awaitable<T>): Promise<T> {
    while (this.replacing) await this.replacing;
    this.writes++;
    try {
      return await this.call(use);
    } finally {
      this.writes--;
      if (this.writes === 0) this.onIdle?.();
    }
  }

  /** Runs an action that puts another index into the place of the open one, while no write is under way, and opens that one. */
  async replace<T>(action: () => Promise<T>): Promise<T> {
    while (this.replacing) await this.replacing;
    const run = this.replaceNow(action);
    this.replacing = run.catch(() => {});
    try {
      return await run;
    } finally {
      this.replacing = undefined;
    }
  }

  /** Ends all calls. Never rejects. */
  close(): Promise<void> {
    this.closing ??= this.closeAll();
    return this.closing;
  }

  private async replaceNow<T>(action: () => Promise<T>): Promise<T> {
    if (this.writes > 0)
      await new Promise<void>((resolve) => {
        this.onIdle = resolve;
      });
    this.onIdle = undefined;
    try {
      return await action();
    } finally {
      const old = this.current;
      this.current = undefined;
      if (old) {
        this.openAgain();
        void this.retire(old);
      }
    }
  }

  /** At once and before the old backend is closed: between the two, another process could write to its folder. */
  private openAgain(): void {
    if (this.closing) return;
    try {
      this.current = this.open();
    } catch {
      // The next call tries again and throws it.
    }
  }

  /** Closes a backend when the calls that it has are answered. */
  private async retire(backend: Backend): Promise<void> {
    if (!this.calls.has(backend)) await backend.close();
    else this.retired.add(backend);
  }

  private readonly retired = new Set<Backend>();

  private call<T>(use: (backend: Backend) => Awaitable<T>): Awaitable<T> {
    const { backend } = this;
    this.calls.set(backend, (this.calls.get(backend) ?? 0) + 1);
    const done = (): void => {
      const left = this.calls.get(backend)! - 1;
      if (left > 0) return void this.calls.set(backend, left);
      this.calls.delete(backend);
      if (this.retired.delete(backend)) void backend.close();
    };
    let isLater = false;
    try {
      const result = use(backend);
      if (!(result instanceof Promise)) return result;
      isLater = true;
      return result.finally(done);
    } finally {
      if (!isLater) done();
    }
  }

  /** A read that met the end of a replacement is made again. */
  private again<T>(error: unknown, use: (backend: Backend) => Awaitable<T>): Awaitable<T> {
    const isClosed = error instanceof WinnowError && error.code === 'WINNOW_INDEX_CLOSED';
    if (!isClosed || this.closing || !this.replacing) throw error;
    return this.replacing.then(() => this.call(use));
  }

  private async closeAll(): Promise<void> {
    await this.replacing;
    const backends = [...this.retired, ...(this.current ? [this.current] : [])];
    await Promise.all(backends.map((backend) => backend.close()));
  }
}
