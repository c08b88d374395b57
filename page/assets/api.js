/**
 * @typedef {import('../../query/response.ts').SearchResponse} SearchResponse
 * @typedef {import('../../query/response.ts').Hit} Hit
 * @typedef {import('../../query/response.ts').Explanation} Explanation
 * @typedef {import('../../app/service/types.ts').CollectionInfo} CollectionInfo
 * @typedef {import('../../app/service/types.ts').CollectionStats} CollectionStats
 * @typedef {import('../../app/service/types.ts').Failure} Failure
 * @typedef {import('../../app/service/types.ts').SearchQuery & { collection: string }} Search
 * @typedef {{ id: string, title: string, text: string, metadata: Record<string, unknown>, passage?: number, passages?: number[] }} StoredDocument
 */

const KEY = 'winnow-key';

/** What a request came to instead of an answer. */
export class ApiError extends Error {
  /** @param {number} status 0: there was no answer @param {Failure & { requestId?: string | undefined }} failure */
  constructor(status, failure) {
    super(failure.message);
    this.status = status;
    this.failure = failure;
  }
}

/** @type {{ askKey: (rejected: boolean) => Promise<string>, reached: (works: boolean) => void }} */
const hooks = { askKey: async () => '', reached: () => {} };

/**
 * @param {Partial<typeof hooks>} given `askKey` resolves with the key that the user enters; `reached` learns whether the server answers
 */
export const connect = (given) => Object.assign(hooks, given);

const key = {
  /** Kept until the tab is closed. */
  get: () => sessionStorage.getItem(KEY) ?? '',
  /** @param {string} value */
  set: (value) => sessionStorage.setItem(KEY, value),
};

/**
 * The response of the server. Asks for a key and tries again where one is needed.
 *
 * @param {string} path @param {RequestInit & { headers?: Record<string, string> }} [options]
 * @returns {Promise<Response>}
 * @throws {ApiError}
 */
export async function request(path, options = {}) {
  const sent = key.get();
  const headers = { ...options.headers, ...(sent ? { authorization: `Bearer ${sent}` } : {}) };
  let response;
  try {
    response = await fetch(path, { ...options, headers, cache: 'no-store' });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    hooks.reached(false);
    throw new ApiError(0, {
      code: 'NO_ANSWER',
      message: 'The server does not answer.',
      hint: 'It may have been stopped, or this device is offline. The page tries again by itself.',
    });
  }
  hooks.reached(true);
  if (response.ok) return response;
  if (response.status === 401) {
    // Another request may have got a key meanwhile.
    if (key.get() === sent) key.set(await hooks.askKey(sent !== ''));
    return request(path, options);
  }
  throw await failed(response);
}

/** @param {Response} response */
async function failed(response) {
  const requestId = response.headers.get('x-request-id') ?? undefined;
  const body = await response.json().catch(() => undefined);
  if (typeof body?.code === 'string') return new ApiError(response.status, { requestId, ...body });
  const message = `The server answered ${response.status} ${response.statusText}`;
  return new ApiError(response.status, { code: `HTTP_${response.status}`, message, requestId });
}

/** @param {string} name @param {string} [rest] */
export const collectionPath = (name, rest = '') => `/v1/collections/${encodeURIComponent(name)}${rest}`;

/**
 * @param {string} method @param {string} path @param {unknown} [body] @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
export async function call(method, path, body, signal) {
  const response = await request(path, {
    method,
    ...(signal ? { signal } : {}),
    ...(body === undefined
      ? {}
      : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  });
  return response.status === 204 ? undefined : response.json();
}

/** @returns {Promise<CollectionInfo[]>} */
export const collections = async () => (await call('GET', '/v1/collections')).collections;

/** @param {string} name @returns {Promise<CollectionStats>} */
export const stats = (name) => call('GET', collectionPath(name, '/stats'));

/**
 * One answer or error per search, in their order.
 *
 * @param {Search[]} searches @param {AbortSignal} signal
 * @returns {Promise<(SearchResponse | ApiError)[]>}
 */
export async function search(searches, signal) {
  const response = await request('/v1/multi-search', {
    method: 'POST',
    signal,
    body: JSON.stringify({ searches }),
    headers: { 'content-type': 'application/json' },
  });
  const requestId = response.headers.get('x-request-id') ?? undefined;
  const { results } = await response.json();
  return results.map((/** @type {any} */ result) =>
    result.error ? new ApiError(400, { ...result.error, requestId }) : result,
  );
}

/** @param {string} collection @param {string} id @param {number} [passage] @returns {Promise<StoredDocument>} */
export const storedDocument = (collection, id, passage) =>
  call(
    'GET',
    `${collectionPath(collection, `/documents/${encodeURIComponent(id)}`)}${passage === undefined ? '' : `?passage=${passage}`}`,
  );

/**
 * The values of an NDJSON answer, as they arrive.
 *
 * @param {Response} response @returns {AsyncGenerator<any>}
 */
export async function* lines(response) {
  const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
  const decoder = new TextDecoder();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    rest += decoder.decode(value, { stream: !done });
    const complete = rest.split('\n');
    rest = complete.pop() ?? '';
    for (const line of complete) if (line.trim()) yield JSON.parse(line);
    if (done) break;
  }
  if (rest.trim()) yield JSON.parse(rest);
}
