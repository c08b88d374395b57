import type { IncomingHttpHeaders } from 'node:http';
import cors from '@fastify/cors';
import plugin from 'fastify-plugin';
import { WinnowError } from '../../errors.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Answers whoever asks, under any host name: probes of orchestrators use the address of a container. For health alone. */
    anyHost?: boolean;
  }
}

export interface AccessOptions {
  /** Host names besides those of loopback that requests may be addressed to, without a port. */
  readonly allowHosts?: readonly string[];
  /** Origins (`https://app.example`) whose pages may use the API from a browser. */
  readonly allowOrigins?: readonly string[];
}

const LOOPBACK = ['localhost', '127.0.0.1', '[::1]'];

/** Refuses requests that a page on the web made a browser send, before anything else looks at them. */
export const access = plugin(async (app, options: AccessOptions) => {
  app.addHook('onRequest', ({ headers, protocol, routeOptions }, _reply, done) => {
    if (!routeOptions.config.anyHost) checkAccess(headers, protocol, options);
    done();
  });
  const { allowOrigins = [] } = options;
  if (allowOrigins.length > 0)
    await app.register(cors, {
      origin: [...allowOrigins],
      methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
      exposedHeaders: ['x-request-id', 'retry-after', 'deprecation', 'link'],
    });
});

/**
 * Checks who a request is addressed to and which page sent it. A page on the web can make a browser send requests here: under a
 * name of its own that it points at 127.0.0.1 (DNS rebinding), which `Host` shows, or across origins, which `Origin` shows.
 * Other programs than browsers send no `Origin`.
 *
 * @throws WinnowError WINNOW_FORBIDDEN
 */
function checkAccess(
  { host, origin }: IncomingHttpHeaders,
  protocol: 'http' | 'https',
  options: AccessOptions,
): void {
  const { allowHosts = [], allowOrigins = [] } = options;
  const name = hostName(host);
  if (
    name === undefined ||
    !(LOOPBACK.includes(name) || allowHosts.some((one) => one.toLowerCase() === name))
  )
    throw new WinnowError(
      'WINNOW_FORBIDDEN',
      `this server does not answer for host ${JSON.stringify(host ?? '')}`,
      {
        place: 'host',
        hint: 'use 127.0.0.1 or localhost, or start it with: winnow serve --allow-host NAME',
      },
    );
  if (origin === undefined || isSameOrigin(origin, host!, protocol) || allowOrigins.includes(origin)) return;
  throw new WinnowError('WINNOW_FORBIDDEN', `pages of ${JSON.stringify(origin)} may not use this server`, {
    place: 'origin',
    hint: 'start it with: winnow serve --allow-origin ORIGIN',
  });
}

/** In lower case, without port and the dot of a full name. */
function hostName(host: string | undefined): string | undefined {
  const match = /^(\[[0-9a-fA-F:.]+\]|[^:[\]/@\s]+?)\.?(?::\d{1,5})?$/.exec(host ?? '');
  return match?.[1]?.toLowerCase();
}

/** Behind a proxy that has TLS, pages have its origin, which `--allow-origin` names. */
const isSameOrigin = (origin: string, host: string, protocol: 'http' | 'https'): boolean =>
  origin.toLowerCase() === `${protocol}://${host.toLowerCase()}`;
