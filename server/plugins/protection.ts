import type { IncomingMessage, ServerResponse } from 'node:http';
import rateLimit from '@fastify/rate-limit';
import underPressure from '@fastify/under-pressure';
import type { FastifyRequest } from 'fastify';
import plugin from 'fastify-plugin';
import helmet, { type HelmetOptions } from 'helmet';
import { busy } from '../../app/lane.ts';
import { WinnowError } from '../../errors.ts';

export interface ProtectionOptions {
  /** Requests per minute that a key, or an address without one, may send, 1..; default: any number. */
  readonly rateLimit?: number;
  /** Mean delay of the event loop over a second, in ms, above which requests are answered 503; 0: never. Default 0. */
  readonly maxEventLoopDelayMs?: number;
  /** Whether the server itself speaks TLS. */
  readonly isSecure?: boolean;
}

/** What a page of this server may do: use what the same server has, and nothing else. */
export const PAGE_POLICY = {
  'default-src': ["'self'"],
  'img-src': ["'self'", 'data:'],
  'object-src': ["'none'"],
  'base-uri': ["'none'"],
  'form-action': ["'self'"],
  'frame-ancestors': ["'none'"],
};

/**
 * Headers that keep browsers strict, a rate per key, and 503 while the event loop is late. Register it after `keys`, whose key names who is
 * counted, and before the routes.
 */
export const protection = plugin(async (app, options: ProtectionOptions) => {
  const { rateLimit: max, maxEventLoopDelayMs = 0, isSecure = false } = options;
  const headers = headersOf({
    contentSecurityPolicy: { useDefaults: false, directives: PAGE_POLICY },
    // Browsers ignore it without TLS. A proxy that has TLS decides for itself.
    strictTransportSecurity: isSecure ? { maxAge: 31_536_000, includeSubDomains: false } : false,
    frameguard: { action: 'deny' },
  });
  app.addHook('onRequest', (_request, reply, done) => {
    reply.headers(headers);
    done();
  });
  if (maxEventLoopDelayMs > 0)
    await app.register(underPressure, {
      maxEventLoopDelay: maxEventLoopDelayMs,
      pressureHandler: async (request) => {
        if (!isProbe(request)) throw busy('the server is overloaded');
      },
    });
  if (max !== undefined)
    await app.register(rateLimit, {
      max,
      timeWindow: '1 minute',
      allowList: isProbe,
      keyGenerator: ({ apiKey, ip }) => apiKey?.id ?? ip,
      errorResponseBuilder: (_request, { after }) =>
        new WinnowError('WINNOW_RATE_LIMIT', `more than ${max} requests in a minute`, {
          hint: `send it again in ${after}`,
        }),
    });
});

/**
 * The headers that helmet sets. They are the same for every answer, so they are made once; @fastify/helmet makes them anew for each.
 */
function headersOf(options: HelmetOptions): Readonly<Record<string, string>> {
  const headers: Record<string, string> = {};
  const recorder = {
    setHeader: (name: string, value: string): void => {
      headers[name.toLowerCase()] = value;
    },
    removeHeader: (): void => {},
  };
  helmet(options)({} as IncomingMessage, recorder as unknown as ServerResponse, (error) => {
    if (error) throw error;
  });
  return headers;
}

/** Whoever watches a server must see that it is overloaded. */
const isProbe = ({ routeOptions }: FastifyRequest): boolean => routeOptions.config.isProbe === true;

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Health and metrics: neither counted nor shed. */
    isProbe?: boolean;
  }
}
