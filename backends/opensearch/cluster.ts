import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@opensearch-project/opensearch';
import { WinnowError } from '../../errors.ts';

/** How a cluster is reached. */
export interface ClusterOptions {
  /** One address or several nodes of one cluster: `https://search-1:9200`. Credentials go into {@link username} or {@link apiKey}. */
  readonly url: string | readonly string[];
  readonly username?: string;
  readonly password?: string;
  /** Sent as `Authorization: ApiKey …`. */
  readonly apiKey?: string;
  /** PEM file of the authority that signed the cluster's certificate. */
  readonly caFile?: string;
  /** Accept any certificate: for tests on one machine. Default false. */
  readonly insecure?: boolean;
  /** Compress request bodies. Default true. */
  readonly compression?: boolean;
  /** Milliseconds that one request may take. Default 30,000. */
  readonly timeoutMs?: number;
  /** How often a request is repeated that the cluster refused as busy (429, 502, 503, 504) or that did not reach it. Default 6. */
  readonly retries?: number;
}

export interface ClusterRequest {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE' | 'HEAD';
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | boolean>>;
  readonly body?: object | string;
  /** Newline-delimited JSON instead of {@link body}. */
  readonly lines?: string;
  /** Statuses that are answers, not failures. */
  readonly accept?: readonly number[];
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds; default that of the cluster. */
  readonly timeoutMs?: number;
  /** Default that of the cluster. */
  readonly retries?: number;
}

export interface ClusterAnswer<Body> {
  readonly status: number;
  readonly body: Body;
}

const RETRIED = new Set([429, 502, 503, 504]);
/** First pause between repetitions; each one is twice as long, up to {@link LONGEST_PAUSE_MS}, and half of it is random. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 10_000;

/** The random part keeps clients that were refused together from coming back together. @param attempt from 0 */
export function pauseMs(attempt: number, random = Math.random()): number {
  const longest = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** attempt);
  return longest / 2 + (random * longest) / 2;
}

/**
 * A connection to a cluster. All requests that Winnow sends may be repeated without harm, so that they are: with growing pauses, on
 * another node where several addresses are given.
 */
export class Cluster {
  /** For messages, without credentials. */
  readonly name: string;
  readonly retries: number;
  private readonly client: Client;
  private readonly timeoutMs: number;

  private constructor(client: Client, name: string, retries: number, timeoutMs: number) {
    this.client = client;
    this.name = name;
    this.retries = retries;
    this.timeoutMs = timeoutMs;
  }

  /** @throws WinnowError WINNOW_MISSING_PACKAGE, WINNOW_BAD_ARGUMENT for an address that is none, WINNOW_NOT_FOUND for the CA file */
  static async connect(options: ClusterOptions): Promise<Cluster> {
    const { compression = true, timeoutMs = 30_000, retries = 6, insecure = false } = options;
    const urls = (typeof options.url === 'string' ? [options.url] : options.url).map(readUrl);
    if (urls.length === 0) throw badUrl('no address is given');
    const { Client } = await loadClient();
    const auth = authOf(options);
    const client = new Client({
      nodes: urls.map(({ href }) => href),
      maxRetries: 0,
      ...(compression ? { compression: 'gzip' as const } : {}),
      ...(auth.basic ? { auth: auth.basic } : {}),
      headers: auth.headers,
      ssl: {
        rejectUnauthorized: !insecure,
        ...(options.caFile === undefined ? {} : { ca: readAuthority(options.caFile) }),
      },
    });
    return new Cluster(client, urls.map(({ host }) => host).join(', '), retries, timeoutMs);
  }

  /** @throws WinnowError WINNOW_CLUSTER; the signal's reason when it is aborted */
  async request<Body>(request: ClusterRequest): Promise<ClusterAnswer<Body>> {
    for (let attempt = 0; ; attempt++) {
      request.signal?.throwIfAborted();
      try {
        return await this.send<Body>(request);
      } catch (error) {
        request.signal?.throwIfAborted();
        const { status, failure } = failureOf(error);
        if (status !== undefined && !RETRIED.has(status)) throw this.failed(request, failure, error);
        if (attempt >= (request.retries ?? this.retries)) throw this.failed(request, failure, error);
        await sleep(pauseMs(attempt), undefined, request.signal ? { signal: request.signal } : {}).catch(
          () => {},
        );
      }
    }
  }

  close(): Promise<void> {
    return this.client.close();
  }

  private async send<Body>(request: ClusterRequest): Promise<ClusterAnswer<Body>> {
    const { method, path, query, body, lines, accept = [], signal, timeoutMs = this.timeoutMs } = request;
    const sending = this.client.transport.request(
      {
        method,
        path,
        ...(query ? { querystring: { ...query } } : {}),
        ...(body === undefined ? {} : { body }),
        ...(lines === undefined ? {} : { bulkBody: lines }),
      },
      { ignore: [...accept], requestTimeout: timeoutMs },
    );
    const abort = (): void => sending.abort();
    signal?.addEventListener('abort', abort, { once: true });
    try {
      const answer = await sending;
      return { status: answer.statusCode ?? 0, body: answer.body as Body };
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }

  private failed({ method, path }: ClusterRequest, failure: string, cause: unknown): WinnowError {
    return new WinnowError('WINNOW_CLUSTER', `${method} ${path}: ${failure}`, {
      place: this.name,
      hint: /\b(401|403)\b/.test(failure)
        ? 'check user, password or API key, and the rights that they have on the index'
        : 'check the address and the state of the cluster (GET /_cluster/health), and run it again',
      cause,
    });
  }
}

async function loadClient() {
  try {
    return await import('@opensearch-project/opensearch');
  } catch (cause) {
    throw new WinnowError('WINNOW_MISSING_PACKAGE', 'the client of OpenSearch is not installed', {
      place: '@opensearch-project/opensearch',
      hint: 'install it: npm install @opensearch-project/opensearch',
      cause,
    });
  }
}

function authOf({ username, password = '', apiKey }: ClusterOptions): {
  readonly basic?: { readonly username: string; readonly password: string };
  readonly headers: Record<string, string>;
} {
  if (apiKey !== undefined && username !== undefined)
    throw new WinnowError('WINNOW_BAD_ARGUMENT', 'is given beside a user', {
      place: 'apiKey',
      hint: 'give one of both',
    });
  if (apiKey !== undefined) return { headers: { authorization: `ApiKey ${apiKey}` } };
  return { ...(username === undefined ? {} : { basic: { username, password } }), headers: {} };
}

function readUrl(text: string): URL {
  if (!URL.canParse(text)) throw badUrl(`"${text}" is no address`);
  const url = new URL(text);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw badUrl(`"${text}" is no address`);
  // A password in an address ends up in logs and lists of processes.
  if (url.username !== '' || url.password !== '')
    throw badUrl('an address holds no user and password', 'give them as options or environment variables');
  return url;
}

const badUrl = (message: string, hint = 'give one such as https://localhost:9200'): WinnowError =>
  new WinnowError('WINNOW_BAD_ARGUMENT', message, { place: 'url', hint });

function readAuthority(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new WinnowError('WINNOW_NOT_FOUND', 'the certificate file cannot be read', { place: path, cause });
  }
}

/** What went wrong, in one line. */
function failureOf(error: unknown): { readonly status?: number; readonly failure: string } {
  const { meta, message = String(error) } = error as {
    meta?: { statusCode?: number | null; body?: unknown };
    message?: string;
  };
  const status = meta?.statusCode ?? undefined;
  if (status === undefined || status === null) return { failure: message };
  const { error: detail } = (meta?.body ?? {}) as {
    error?: { reason?: string; root_cause?: { reason?: string }[] };
  };
  const reason = detail?.root_cause?.[0]?.reason ?? detail?.reason ?? message;
  return { status, failure: `${status} ${reason}` };
}
