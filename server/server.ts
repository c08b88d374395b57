import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import Fastify, { type FastifyInstance } from 'fastify';
import { SearchService } from '../app/service/search-service.ts';
import { SnapshotFolder } from '../app/snapshot-folder.ts';
import type { SearchBackend } from '../query/backend.ts';
import { LIMITS } from './limits.ts';
import { type AccessOptions, access } from './plugins/access.ts';
import { type AuditOptions, audit } from './plugins/audit.ts';
import { bodies } from './plugins/bodies.ts';
import { answerClientError, answerError, errors } from './plugins/errors.ts';
import { type KeysOptions, keys } from './plugins/keys.ts';
import { lifecycle } from './plugins/lifecycle.ts';
import { metrics } from './plugins/metrics.ts';
import { PAGE_POLICY, type ProtectionOptions, protection } from './plugins/protection.ts';
import { requestId, requestIds } from './plugins/request-ids.ts';
import { healthRoutes } from './routes/health.ts';
import { mcpRoute } from './routes/mcp.ts';
import { page } from './routes/page.ts';
import { unversionedRoutes } from './routes/unversioned.ts';
import { v1Routes } from './routes/v1/index.ts';
import { SearchTurns } from './search-turns.ts';
import type { TlsFiles } from './tls.ts';
import { readTls } from './tls.ts';

export interface ServerOptions
  extends AccessOptions,
    KeysOptions,
    AuditOptions,
    Omit<ProtectionOptions, 'isSecure'> {
  /** PEM files of a certificate and its key: the server speaks HTTPS. */
  readonly tls?: TlsFiles;
  /** Least level of the log lines on standard error: 'info' has one per request. Default 'error'. */
  readonly log?: LogLevel;
  /** Largest body of POST /search in bytes, 1..; default 1 MB. POST /documents streams and has no limit. */
  readonly bodyLimit?: number;
  /** Time in ms within which a body must bring 1 KB more, or end, 1..; default 30,000. */
  readonly bodyIdleMs?: number;
  /** Folder that POST /snapshots writes into; without it the route answers 404. */
  readonly snapshots?: string;
  /** Snapshots that are kept, 1..; default 10. A new one beyond them removes the oldest that a server made. */
  readonly maxSnapshots?: number;
}

export const LOG_LEVELS = ['silent', 'error', 'warn', 'info', 'debug'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/**
 * The HTTP API: `/v1` over a service or an open index, `GET /openapi.json` and `/documentation`; over one index also the routes before
 * `/v1`. Every error answer is `{code, message, place?, hint?, suggestion?}` with a code of errors.ts. Requests for other hosts than
 * loopback's, or from pages of other origins, are refused.
 *
 * The caller listens and closes; a service and an index stay the caller's. `close()` refuses new requests, ends running ones within
 * some {@link LIMITS.closeMs} ms and answers them 503. What was acknowledged is stored.
 */
export async function createServer(
  target: SearchBackend | SearchService,
  options: ServerOptions = {},
): Promise<FastifyInstance> {
  const { bodyIdleMs = LIMITS.bodyIdleMs, tls } = options;
  const app = newApp(options);
  const service = serviceOf(target, options);
  if (service !== target) app.addHook('onClose', () => service.close());
  await app.register(errors);
  await app.register(requestIds);
  await app.register(lifecycle, { backend: service });
  await app.register(access, options);
  await app.register(keys, options);
  await app.register(audit, options);
  await app.register(protection, { ...options, isSecure: tls !== undefined });
  await app.register(metrics, {
    collections: () => service.openCollections,
    queues: () => service.queues,
  });
  await app.register(bodies, { bodyIdleMs });
  await app.register(swagger, { openapi: { info: { title: 'Winnow', version: '1' } } });
  await app.register(documentation);
  await app.register(page);
  const turns = new SearchTurns(app);
  await app.register(v1Routes, { service, turns, bodyIdleMs });
  await app.register(mcpRoute, { service, turns });
  const { single: backend } = service;
  if (backend) {
    const snapshots = new SnapshotFolder(backend, options.snapshots, options.maxSnapshots);
    await app.register(unversionedRoutes, { backend, turns, bodyIdleMs, snapshots });
  }
  await app.register(healthRoutes, { backend, requireReady: async () => void (await service.health()) });
  app.get('/openapi.json', { config: { scope: 'public' }, schema: { hide: true } }, () => app.swagger());
  return app;
}

function serviceOf(
  target: SearchBackend | SearchService,
  { snapshots, maxSnapshots }: ServerOptions,
): SearchService {
  if (target instanceof SearchService) return target;
  return SearchService.ofBackend(target, { snapshots, maxSnapshots });
}

/** The page of the API: what it shows is public, as `/openapi.json` is. */
async function documentation(app: FastifyInstance): Promise<void> {
  app.addHook('onRoute', (route) => {
    route.config = { ...route.config, scope: 'public' };
  });
  await app.register(swaggerUi, {
    routePrefix: '/documentation',
    // Swagger UI sets styles of elements; its scripts are files of this server. Its own policy would allow styles of any host and
    // make browsers ask for HTTPS where there is none.
    staticCSP: { ...PAGE_POLICY, 'style-src': ["'self'", "'unsafe-inline'"] },
    // Without the bar on top, which can load documents of other servers.
    uiConfig: { layout: 'BaseLayout', docExpansion: 'list', deepLinking: true },
    theme: { title: 'Winnow: HTTP API' },
  });
}

function newApp({ log = 'error', bodyLimit = 1_048_576, tls }: ServerOptions) {
  return Fastify({
    // The types of Fastify differ by protocol, and nothing here does.
    ...((tls ? { https: readTls(tls) } : {}) as object),
    // Standard output has the address alone.
    logger:
      log === 'silent'
        ? false
        : {
            level: log,
            stream: process.stderr,
            redact: ['headers.authorization', 'req.headers.authorization'],
          },
    requestIdHeader: false, // checked before it is believed
    genReqId: requestId,
    bodyLimit,
    // A misspelt option, or "10" for 10, must be an error and not be ignored or converted.
    // Verbose errors have the schema, whose names are suggested for misspelt ones.
    ajv: { customOptions: { removeAdditional: false, coerceTypes: false, verbose: true } },
    routerOptions: { maxParamLength: LIMITS.paramCharacters },
    frameworkErrors: (error, request, reply) => void answerError(error, request, reply),
    clientErrorHandler: (error, socket) => answerClientError(error, socket),
    return503OnClosing: false, // the first hook answers in the shape of all errors
    forceCloseConnections: 'idle',
  }).withTypeProvider<TypeBoxTypeProvider>();
}
