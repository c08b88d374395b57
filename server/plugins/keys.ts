import type { FastifyRequest } from 'fastify';
import plugin from 'fastify-plugin';
import { WinnowError } from '../../errors.ts';
import type { Scope, StoredKey } from '../keys/key-file.ts';
import { KeyRing } from '../keys/key-ring.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /**
     * What a key must be allowed to do. `public`: no key is needed. Default: `read` for GET and HEAD, `write` for the other methods, so
     * that a route that says nothing is never open.
     */
    scope?: Scope | 'public';
    /**
     * The collection that a route without the parameter `c` is about. `checked`: the route itself asks {@link FastifyRequest.mayUse}.
     * Default: none, and keys that are limited to collections are refused.
     */
    collection?: string;
  }
  interface FastifyRequest {
    /** The key of the request; undefined where none is needed. */
    apiKey: StoredKey | undefined;
    /** Whether the request's key covers a collection, by the name that the request uses. */
    mayUse(collection: string): boolean;
  }
}

/** `collection` of routes that ask {@link FastifyRequest.mayUse} about each collection that a request names. */
export const CHECKED_BY_ROUTE = 'checked';

export interface KeysOptions {
  /** File of keys. Without one, no request needs a key. */
  readonly keys?: string;
}

/**
 * Requests need a key with the scope and the collection of their route, once there are keys. Who calls is known before the body is read.
 *
 * This is a hook of its own and not @fastify/bearer-auth, which compares with a fixed set of keys: here the scope, the collection and the
 * expiry decide as well, keys change while the server runs, and only their hashes are known.
 */
export const keys = plugin(async (app, { keys: file }: KeysOptions) => {
  const ring = file === undefined ? undefined : new KeyRing(file);
  app.decorateRequest('apiKey', undefined);
  app.decorateRequest('mayUse', function (this: FastifyRequest, collection: string): boolean {
    return this.apiKey?.collections?.includes(collection) ?? true;
  });
  app.addHook('onRequest', (request, reply, done) => {
    const scope = scopeOf(request);
    if (scope === 'public' || !ring || !isRequired(ring)) return done();
    const key = ring.find(tokenOf(request) ?? '');
    if (!key) {
      reply.header('www-authenticate', 'Bearer realm="winnow"');
      throw noKey(request.headers.authorization);
    }
    request.apiKey = key;
    if (!key.scopes.includes(scope) && !key.scopes.includes('admin'))
      throw forbidden(`the key ${key.id} has no scope ${scope}`, 'scope');
    requireCollection(request);
    done();
  });
});

/** Whoever cannot read the keys lets nobody in. */
function isRequired(ring: KeyRing): boolean {
  try {
    return ring.isRequired;
  } catch (cause) {
    throw new WinnowError(
      'WINNOW_SERVER',
      'the keys of this server cannot be read; its log has the details',
      {
        cause,
      },
    );
  }
}

/** What a key must be allowed to do for a request. */
export function scopeOf({ method, routeOptions }: FastifyRequest): Scope | 'public' {
  return routeOptions.config.scope ?? (method === 'GET' || method === 'HEAD' ? 'read' : 'write');
}

function requireCollection(request: FastifyRequest): void {
  if (request.apiKey?.collections === undefined) return;
  const { c } = (request.params ?? {}) as { c?: string };
  const collection = c ?? request.routeOptions.config.collection;
  if (collection === CHECKED_BY_ROUTE) return;
  if (collection === undefined)
    throw forbidden(
      `the key ${request.apiKey.id} is limited to collections, and this request is not`,
      'collection',
    );
  requireUse(request, collection);
}

/**
 * For routes whose collections are in the body.
 *
 * @throws WinnowError WINNOW_FORBIDDEN where the request's key does not cover a collection, whether or not there is such a collection
 */
export function requireUse(request: FastifyRequest, collection: string): void {
  if (request.mayUse(collection)) return;
  throw forbidden(
    `the key ${request.apiKey!.id} is not for collection ${JSON.stringify(collection)}`,
    'collection',
  );
}

const tokenOf = ({ headers }: FastifyRequest): string | undefined =>
  /^Bearer +(\S+) *$/i.exec(headers.authorization ?? '')?.[1];

const noKey = (given: string | undefined): WinnowError =>
  new WinnowError(
    'WINNOW_UNAUTHORIZED',
    given === undefined ? 'this server needs a key' : 'the key is unknown, expired or revoked',
    {
      place: 'authorization',
      hint: 'send the header authorization: Bearer KEY, with a key of: winnow key create',
    },
  );

const forbidden = (message: string, place: string): WinnowError =>
  new WinnowError('WINNOW_FORBIDDEN', message, {
    place,
    hint: 'use a key that allows it; see: winnow key create --help',
  });
