import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import cors from '@fastify/cors';
import swagger from '@fastify/swagger';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { WinnowError } from '../errors.ts';
import { INDEX_FILE } from '../indexer/storage.ts';
import type { PassageRef } from '../indexer/stored-id.ts';
import type { SearchEngine } from '../query/search-engine.ts';
import { type AccessOptions, checkAccess } from './access.ts';
import { addDocuments } from './add-documents.ts';
import { answerClientError, answerError, mediaType } from './answers.ts';
import { IDLE_HINT } from './body.ts';
import { busy, Lane } from './lane.ts';
import { LIMITS, searchSteps } from './limits.ts';
import {
  AddResponse,
  DeleteResponse,
  DocumentId,
  ErrorResponse,
  ExplainRequest,
  ExplainResponse,
  HealthResponse,
  PassageQuery,
  SearchRequest,
  SearchResponse,
  SnapshotRequest,
  SnapshotResponse,
  SnapshotsResponse,
  StoredDocument,
} from './schemas.ts';
import { SnapshotFolder } from './snapshots.ts';

export interface ServerOptions extends AccessOptions {
  /** Least level of the log lines on standard error: 'info' has one for each request. Default 'error'. */
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

/** How often an idle server takes up what other processes wrote. */
const REFRESH_INTERVAL_MS = 1000;

const failures = { '4xx': ErrorResponse, '5xx': ErrorResponse };
const NDJSON = /^\s*application\/(x-ndjson|jsonl)\s*(;|$)/i;
const JSON_TYPE = /^\s*application\/json\s*(;|$)/i;

/** Methods by the pattern of their path. */
type Routes = Map<string, Set<string>>;
type App = ReturnType<typeof newApp>;

/**
 * The HTTP API over one index: `POST /search`, `POST /explain`, `POST /documents` (NDJSON), `GET` and `DELETE /documents/:id`,
 * `POST` and `GET /snapshots`, `GET /health`, `GET /openapi.json`. Every error answer is `{code, message, place?, hint?}` with a
 * code of errors.ts. Requests for other hosts than loopback's, or from pages of other origins, are refused.
 *
 * The caller listens and closes; the engine stays the caller's. `close()` refuses what arrives, ends requests under way within some
 * {@link LIMITS.closeMs} ms and answers them 503; what was acknowledged is on disk.
 */
export async function createServer(
  engine: SearchEngine,
  options: ServerOptions = {},
): Promise<FastifyInstance> {
  const app = newApp(options);
  const routes: Routes = new Map();
  app.addHook('onRoute', ({ url, method }) => {
    if (url === '*') return; // preflights
    const methods = routes.get(url) ?? new Set();
    for (const one of [method].flat()) methods.add(one);
    routes.set(url, methods);
  });
  const { allowOrigins = [] } = options;
  const stopping = new AbortController();
  app.addHook('onRequest', async ({ headers }) => {
    if (stopping.signal.aborted) throw stopping.signal.reason;
    checkAccess(headers, options);
  });
  if (allowOrigins.length > 0)
    await app.register(cors, { origin: [...allowOrigins], methods: ['GET', 'HEAD', 'POST', 'DELETE'] });
  await app.register(swagger, { openapi: { info: { title: 'Winnow', version: '1' } } });
  app.addHook('preClose', async () => {
    stopping.abort(busy('the server is stopping'));
    setTimeout(() => app.server.closeAllConnections(), LIMITS.closeMs).unref();
  });
  addSearchRoutes(app, engine);
  addUploadRoute(app, engine, options, stopping.signal);
  addDocumentRoutes(app, engine);
  addSnapshotRoutes(app, engine, options);
  addHealthRoute(app, engine);
  app.get('/openapi.json', { schema: { hide: true } }, () => app.swagger());
  keepFresh(app, engine);
  app.setErrorHandler(answerError);
  app.setNotFoundHandler((request, reply) => answerError(noRoute(routes, request, reply), request, reply));
  return app;
}

function newApp({ log = 'error', bodyLimit = 1_048_576, bodyIdleMs = LIMITS.bodyIdleMs }: ServerOptions) {
  const app = Fastify({
    // Standard output has the address alone.
    logger: log === 'silent' ? false : { level: log, stream: process.stderr },
    bodyLimit,
    // A misspelt option must not be ignored, nor "10" pass for 10: say so instead.
    ajv: { customOptions: { removeAdditional: false, coerceTypes: false } },
    routerOptions: { maxParamLength: LIMITS.paramCharacters },
    frameworkErrors: (error, request, reply) => void answerError(error, request, reply),
    clientErrorHandler: (error, socket) => answerClientError(error, socket),
    return503OnClosing: false, // the first hook answers in the shape of all errors
    forceCloseConnections: 'idle',
  }).withTypeProvider<TypeBoxTypeProvider>();
  // A form can send text without asking first.
  app.removeContentTypeParser('text/plain');
  // NDJSON is not parsed into memory: the handler reads the stream.
  app.addContentTypeParser(['application/x-ndjson', 'application/jsonl'], (_request, payload, done) =>
    done(null, payload),
  );
  // JSON bodies are small: they must be whole in the time in which an upload must bring more.
  app.addHook('preParsing', async (request, reply, payload) => {
    if (NDJSON.test(request.headers['content-type'] ?? '')) return payload;
    const late = setTimeout(() => {
      const error = new WinnowError('WINNOW_TIMEOUT', `the body was not whole after ${bodyIdleMs} ms`, {
        place: 'request body',
        hint: IDLE_HINT,
      });
      payload.emit('error', Object.assign(error, { statusCode: error.status })); // Fastify ends its reading with it
    }, bodyIdleMs).unref();
    const done = (): void => clearTimeout(late);
    payload.on('error', done).once('end', done).once('close', done);
    reply.raw.once('close', done); // also where nobody read the body
    return payload;
  });
  return app;
}

/** Light searches are answered at once, heavy ones wait their turn, so that others come between two of them. */
function addSearchRoutes(app: App, engine: SearchEngine): void {
  const heavy = new Lane('heavy searches', LIMITS.heavySearchesWaiting);
  const inTurn = <T>(
    reply: FastifyReply,
    query: string,
    options: object,
    search: () => T,
  ): T | Promise<T> => {
    const { numLive } = engine.generation();
    const steps = searchSteps(engine.countTokens(query), options, numLive);
    if (steps <= LIMITS.lightSteps) return search();
    const gone = goneClient(reply);
    return heavy.run(() => {
      gone.throwIfAborted();
      return search();
    });
  };

  app.post(
    '/search',
    { schema: { body: SearchRequest, response: { 200: SearchResponse, ...failures } } },
    (request, reply) => {
      const { query, budgetMs = LIMITS.budgetMs, ...rest } = request.body;
      const options = { ...rest, budgetMs: Math.min(budgetMs, LIMITS.budgetMs) };
      return inTurn(reply, query, options, () => engine.search(query, options));
    },
  );

  app.post(
    '/explain',
    { schema: { body: ExplainRequest, response: { 200: ExplainResponse, ...failures } } },
    ({ body: { query, id, passage, ...options } }, reply) =>
      inTurn(reply, query, {}, () => engine.explain(query, documentRef(id, passage), options)),
  );
}

/** Bodies are read beside each other, one batch in memory each; their batches are encoded and committed in turn. */
function addUploadRoute(
  app: App,
  engine: SearchEngine,
  { bodyIdleMs: idleMs = LIMITS.bodyIdleMs }: ServerOptions,
  stopping: AbortSignal,
): void {
  const commits = new Lane('batches', LIMITS.uploads);
  let uploads = 0;
  app.post(
    '/documents',
    {
      schema: { response: { 200: AddResponse, ...failures } },
      onRequest: async ({ headers }) => {
        const type = headers['content-type'];
        if (!NDJSON.test(type ?? ''))
          throw mediaType(type, 'application/x-ndjson, one JSON document per line');
      },
    },
    async (request, reply) => {
      if (uploads >= LIMITS.uploads) throw busy(`${uploads} uploads are being read already`);
      uploads++;
      try {
        const signal = AbortSignal.any([stopping, goneClient(reply)]);
        const encoding = request.headers['content-encoding'];
        const body = request.body as Readable;
        const report = await addDocuments(engine, body, { signal, idleMs, encoding }, commits);
        // Nothing usable in the body is the caller's mistake; some bad rows among good ones are reported beside them.
        const { code, message, line } = report.errors[0] ?? {};
        if (code !== undefined && report.added + report.replaced + report.unchanged === 0)
          throw new WinnowError(code as WinnowError['code'], message!, { place: `request body:${line}` });
        return report;
      } finally {
        uploads--;
      }
    },
  );
}

/** Aborted when the connection closes before the answer is written. */
function goneClient(reply: FastifyReply): AbortSignal {
  const gone = new AbortController();
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) gone.abort(new WinnowError('WINNOW_TIMEOUT', 'the client is gone'));
  });
  return gone.signal;
}

function addDocumentRoutes(app: App, engine: SearchEngine): void {
  app.get(
    '/documents/:id',
    {
      schema: {
        params: DocumentId,
        querystring: PassageQuery,
        response: { 200: StoredDocument, ...failures },
      },
    },
    ({ params, query }) => {
      const ref = documentRef(params.id, query.passage);
      const record = engine.get(ref);
      if (!record) throw noDocument(ref);
      return record;
    },
  );

  app.delete(
    '/documents/:id',
    {
      schema: {
        params: DocumentId,
        querystring: PassageQuery,
        response: { 200: DeleteResponse, ...failures },
      },
    },
    // One synchronous transaction: it comes between two batches of an upload and waits for none.
    ({ params, query }) => {
      const ref = documentRef(params.id, query.passage);
      const deleted = engine.delete([ref]);
      if (deleted === 0) throw noDocument(ref);
      return { deleted };
    },
  );
}

function addSnapshotRoutes(app: App, engine: SearchEngine, options: ServerOptions): void {
  const snapshots = new SnapshotFolder(engine, options.snapshots, options.maxSnapshots);
  const oneAtATime = new Lane('snapshots', LIMITS.snapshotsWaiting); // writes go on meanwhile
  app.post(
    '/snapshots',
    {
      schema: { body: SnapshotRequest, response: { 200: SnapshotResponse, ...failures } },
      // A page of another origin can send this type only after asking, which is refused.
      onRequest: async ({ headers }) => {
        const type = headers['content-type'];
        if (!JSON_TYPE.test(type ?? '')) throw mediaType(type, 'application/json, with the body {}');
      },
    },
    () => oneAtATime.run(() => snapshots.take()),
  );
  app.get('/snapshots', { schema: { response: { 200: SnapshotsResponse, ...failures } } }, () =>
    snapshots.list(),
  );
}

function addHealthRoute(app: App, engine: SearchEngine): void {
  const file = join(engine.store.path, INDEX_FILE);
  const inode = () => statSync(file, { throwIfNoEntry: false })?.ino;
  const opened = inode();
  app.get('/health', { schema: { response: { 200: HealthResponse, ...failures } } }, () => {
    if (inode() !== opened)
      throw new WinnowError('WINNOW_UNHEALTHY', 'the index file is gone or was replaced under the server', {
        place: engine.store.path,
        hint: 'stop the server, put the folder back or restore a snapshot, and start it again',
      });
    const generation = engine.generation();
    return {
      status: 'ok' as const,
      documents: generation.numLive,
      generation: generation.manifest.generation,
      model: engine.model.name,
    };
  });
}

/**
 * A view of the index keeps its pages alive: without searches an idle server would hold an old one while another process
 * writes, and the file would grow.
 */
function keepFresh(app: App, engine: SearchEngine): void {
  let toldError: WinnowError | undefined;
  const refresh = setInterval(() => {
    try {
      engine.generation();
      const { mergeError } = engine.store;
      if (mergeError && mergeError !== toldError) app.log.error(mergeError);
      toldError = mergeError;
    } catch (error) {
      app.log.error(error);
    }
  }, REFRESH_INTERVAL_MS).unref();
  app.addHook('onClose', async () => clearInterval(refresh));
}

/** 405 with the methods that the path has, or 404. */
function noRoute(routes: Routes, { method, url }: FastifyRequest, reply: FastifyReply): WinnowError {
  const path = url.split('?')[0]!;
  const methods = routes.get(path.startsWith('/documents/') ? '/documents/:id' : path);
  if (!methods)
    return new WinnowError('WINNOW_NOT_FOUND', `no route ${method} ${path}`, {
      place: 'request',
      hint: 'see /openapi.json for the routes',
    });
  const allowed = [...methods].join(', ');
  reply.header('allow', allowed);
  return new WinnowError('WINNOW_METHOD', `${path} has no method ${method}`, {
    place: 'request',
    hint: `it has ${allowed}`,
  });
}

const documentRef = (id: string, passage: string | number | undefined): PassageRef =>
  passage === undefined ? { id } : { id, passage: Number(passage) };

function noDocument({ id, passage }: PassageRef): WinnowError {
  const what = passage === undefined ? `document "${id}"` : `passage ${passage} of document "${id}"`;
  return new WinnowError('WINNOW_NOT_FOUND', `no ${what}`, { place: 'id' });
}
