/** Aborts a request that brings nothing for some time, or that the caller gives up. */
export class IdleClock {
  private readonly controller = new AbortController();
  private readonly idleMs: number;
  private readonly outer: AbortSignal | undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private readonly giveUp = (): void => this.controller.abort(this.outer!.reason);
  /** Whether the time ran out. */
  isOver = false;

  /** Starts. @param idleMs Infinity: no end */
  constructor(idleMs: number, outer?: AbortSignal) {
    this.idleMs = idleMs;
    this.outer = outer;
    if (outer?.aborted) this.controller.abort(outer.reason);
    else outer?.addEventListener('abort', this.giveUp, { once: true });
    this.restart();
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  /** Something is waited for, from now on. */
  restart(): void {
    this.pause();
    if (this.idleMs === Number.POSITIVE_INFINITY) return;
    this.timer = setTimeout(() => {
      this.isOver = true;
      this.controller.abort();
    }, this.idleMs);
  }

  /** Nothing is waited for: the time stands still until {@link restart}. */
  pause(): void {
    clearTimeout(this.timer);
  }

  /** The request has ended. */
  stop(): void {
    this.pause();
    this.outer?.removeEventListener('abort', this.giveUp);
  }
}
