import { errorOf, WinnowClientError } from './errors.ts';
import { IdleClock } from './idle-clock.ts';
import { readLines } from './lines.ts';

export interface ClientOptions {
  /** Key of `winnow key create`, sent as `authorization: Bearer KEY`. */
  readonly key?: string;
  /**
   * Milliseconds within which an answer must begin or go on, above 0; Infinity: no end. Default 30,000, and 300,000 where documents are
   * added, which is answered when they are stored.
   */
  readonly timeoutMs?: number;
  /**
   * How often a request that failed is sent again, 0..; default 2. Only where that does no harm: where the server said when
   * to come back (429 and 503 with `retry-after`), and for reads when there was no connection or the answer was 502, 503 or 504.
   */
  readonly retries?: number;
  /** Sent with every request. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Default: the global one. */
  readonly fetch?: typeof fetch;
}

/** Options of one call. */
export interface CallOptions {
  /** Ends the call, which rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Instead of {@link ClientOptions.timeoutMs}. */
  readonly timeoutMs?: number;
}

export interface Call {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Below `/v1`, its parts encoded; see {@link path}. */
  readonly path: string;
  /** Absent values are left out. */
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  /** Sent as JSON. */
  readonly json?: unknown;
  /** Sent as it is, with its media type. */
  readonly body?: string | Blob | Uint8Array<ArrayBuffer>;
  readonly type?: string;
  /** Instead of 30 s, where the caller and the client say nothing. */
  readonly timeoutMs?: number;
  /** A POST that changes nothing. GET changes nothing anyway. */
  readonly isRead?: boolean;
}

const TIMEOUT_MS = 30_000;
/** Of calls that are answered when documents are encoded and stored. */
export const WRITE_TIMEOUT_MS = 300_000;
const RETRIES = 2;
/** Longest wait for another try; whoever is to wait longer gets the error. */
const MAX_WAIT_MS = 30_000;
const FIRST_WAIT_MS = 200;
const UNAVAILABLE = [0, 502, 503, 504];

/** A path of encoded parts: path`/collections/${name}`. */
export const path = (texts: TemplateStringsArray, ...names: readonly string[]): string =>
  String.raw({ raw: texts }, ...names.map(encodeURIComponent));

/** Sends requests, again where that is safe, and makes errors of what is no result. */
export class Transport {
  private readonly base: string;
  private readonly options: ClientOptions;

  /** @param base address of the server; may have a path, behind a proxy @throws TypeError for what is no URL */
  constructor(base: string, options: ClientOptions) {
    this.base = new URL(base).href.replace(/\/+$/, '');
    this.options = options;
  }

  /** The JSON of an answer; undefined for 204. */
  json<T>(call: Call, options: CallOptions = {}): Promise<T> {
    return this.attempts(call, options, async (response, clock) => {
      const text = await response.text();
      clock.stop();
      return (text === '' ? undefined : parse(text, response)) as T;
    });
  }

  /** The lines of an NDJSON answer. */
  async *lines<T>(call: Call, options: CallOptions = {}): AsyncGenerator<T, void> {
    const { response, clock } = await this.attempts(call, options, async (response, clock) => {
      clock.pause();
      return { response, clock };
    });
    try {
      yield* readLines(response.body!, clock) as AsyncGenerator<T, void>;
    } catch (error) {
      throw failureOf(error, clock, options.signal);
    } finally {
      clock.stop();
    }
  }

  private async attempts<T>(
    call: Call,
    options: CallOptions,
    read: (response: Response, clock: IdleClock) => Promise<T>,
  ): Promise<T> {
    for (let attempt = 0; ; attempt++) {
      const timeoutMs = options.timeoutMs ?? this.options.timeoutMs ?? call.timeoutMs ?? TIMEOUT_MS;
      const clock = new IdleClock(timeoutMs, options.signal);
      try {
        const response = await this.send(call, clock.signal);
        clock.restart();
        if (!response.ok) throw await errorOf(response);
        return await read(response, clock);
      } catch (error) {
        clock.stop();
        const failure = failureOf(error, clock, options.signal);
        const wait = attempt < (this.options.retries ?? RETRIES) ? waitMs(failure, call, attempt) : undefined;
        if (wait === undefined) throw failure;
        await pause(wait, options.signal);
      }
    }
  }

  private send({ method, path, query, json, ...raw }: Call, signal: AbortSignal): Promise<Response> {
    const { key, headers, fetch: send = fetch } = this.options;
    const asked = Object.entries(query ?? {}).filter(([, value]) => value !== undefined);
    const search = new URLSearchParams(
      asked.map(([name, value]): [string, string] => [name, String(value)]),
    ).toString();
    const { body, type = 'application/json' } = json === undefined ? raw : { body: JSON.stringify(json) };
    return send(`${this.base}/v1${path}${search && `?${search}`}`, {
      method,
      headers: {
        ...headers,
        ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
        ...(body === undefined ? {} : { 'content-type': type }),
      },
      ...(body === undefined ? {} : { body }),
      signal,
    });
  }
}

/** @returns milliseconds until the request is sent again; undefined where that could do harm or take too long */
function waitMs(failure: unknown, { method, isRead }: Call, attempt: number): number | undefined {
  if (!(failure instanceof WinnowClientError) || failure.code === 'WINNOW_CLIENT_TIMEOUT') return undefined;
  const { status, retryAfterSeconds } = failure;
  if (retryAfterSeconds !== undefined && (status === 503 || status === 429)) {
    const wait = retryAfterSeconds * 1000;
    return wait <= MAX_WAIT_MS ? wait : undefined;
  }
  if (!(isRead || method === 'GET') || !UNAVAILABLE.includes(status)) return undefined;
  // At random, so that clients that failed together do not come back together.
  return FIRST_WAIT_MS * 2 ** attempt * (0.5 + Math.random());
}

/** What the caller gets: the reason of its own signal, or a WinnowClientError. */
function failureOf(error: unknown, clock: IdleClock, signal: AbortSignal | undefined): unknown {
  if (clock.isOver)
    return new WinnowClientError('WINNOW_CLIENT_TIMEOUT', 'the server did not answer in time', {
      status: 0,
      hint: 'give a larger timeoutMs',
      cause: error,
    });
  if (signal?.aborted) return signal.reason;
  if (error instanceof WinnowClientError) return error;
  if (error instanceof SyntaxError)
    return new WinnowClientError('WINNOW_CLIENT_ANSWER', 'the answer is no JSON', {
      status: 0,
      cause: error,
    });
  const { message, cause } = error as Error & { cause?: { message?: string } };
  return new WinnowClientError('WINNOW_CLIENT_UNREACHABLE', `no answer: ${cause?.message || message}`, {
    status: 0,
    hint: 'check the address, and that winnow serve runs',
    cause: error,
  });
}

function parse(text: string, { status }: Response): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new WinnowClientError('WINNOW_CLIENT_ANSWER', 'the answer is no JSON', {
      status,
      hint: 'check that the address is that of winnow serve',
      cause,
    });
  }
}

/** @throws the signal's reason when it is aborted */
export function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return void reject(signal.reason);
    const giveUp = (): void => {
      clearTimeout(timer);
      reject(signal!.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', giveUp);
      resolve();
    }, ms);
    signal?.addEventListener('abort', giveUp, { once: true });
  });
}
