import type { Readable } from 'node:stream';
import swagger from '@fastify/swagger';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import Fastify, { type FastifyError, type FastifyInstance } from 'fastify';
import { WinnowError } from '../errors.ts';
import type { PassageRef } from '../indexer/stored-id.ts';
import type { SearchEngine } from '../query/search-engine.ts';
import { addDocuments } from './add-documents.ts';
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
  StoredDocument,
} from './schemas.ts';
import { SnapshotFolder, SnapshotResponse, SnapshotsResponse } from './snapshots.ts';

export interface ServerOptions {
  /** Write a log line for each request. Default false. */
  readonly logger?: boolean;
  /** Largest body of POST /search in bytes, 1..; default 1 MB. POST /documents streams and has no limit. */
  readonly bodyLimit?: number;
  /** Folder that POST /snapshots writes into; without it the route answers 404. */
  readonly snapshots?: string;
}

/** How often an idle server takes up what other processes wrote. */
const REFRESH_INTERVAL_MS = 1000;

/**
 * The HTTP API over one index: `POST /search`, `POST /documents` (NDJSON), `GET` and `DELETE /documents/:id`,
 * `POST` and `GET /snapshots`, `GET /health`, `GET /openapi.json`. Every error answer is `{code, message, place?, hint?}` with a code of errors.ts.
 *
 * The caller listens and closes; the engine stays the caller's.
 */
export async function createServer(
  engine: SearchEngine,
  options: ServerOptions = {},
): Promise<FastifyInstance> {
  const app = Fastify({
    logger: options.logger ?? false,
    bodyLimit: options.bodyLimit ?? 1_048_576,
    // A misspelt option must not be ignored, nor "10" pass for 10: say so instead.
    ajv: { customOptions: { removeAdditional: false, coerceTypes: false } },
  }).withTypeProvider<TypeBoxTypeProvider>();
  await app.register(swagger, { openapi: { info: { title: 'Winnow', version: '1' } } });
  const failures = { '4xx': ErrorResponse, '5xx': ErrorResponse };
  // NDJSON is not parsed into memory: the handler reads the stream.
  app.addContentTypeParser(['application/x-ndjson', 'application/jsonl'], (_request, payload, done) =>
    done(null, payload),
  );
  // Writes are encoded and committed one request after another; searches go on meanwhile.
  const oneAtATime = serialQueue();

  app.post(
    '/search',
    { schema: { body: SearchRequest, response: { 200: SearchResponse, ...failures } } },
    (request) => {
      const { query, ...options } = request.body;
      return engine.search(query, options);
    },
  );

  app.post(
    '/explain',
    { schema: { body: ExplainRequest, response: { 200: ExplainResponse, ...failures } } },
    ({ body: { query, id, passage, ...options } }) =>
      engine.explain(query, documentRef(id, passage), options),
  );

  app.post('/documents', { schema: { response: { 200: AddResponse, ...failures } } }, (request, reply) => {
    const type = request.headers['content-type'] ?? '';
    if (!/^application\/(x-ndjson|jsonl)\b/.test(type)) {
      throw new WinnowError(
        'WINNOW_BAD_ARGUMENT',
        `documents come as NDJSON, not ${type || 'without a content type'}`,
        {
          place: 'content-type',
          hint: 'send one JSON document a line with content-type: application/x-ndjson',
        },
      );
    }
    return oneAtATime(async () => {
      const report = await addDocuments(engine, request.body as Readable);
      // Nothing usable in the body is the caller's mistake; some bad rows among good ones are reported beside them.
      if (report.errors.length > 0 && report.added + report.replaced + report.unchanged === 0) {
        const first = report.errors[0]!;
        throw new WinnowError(first.code as WinnowError['code'], first.message, {
          place: `request body:${first.line}`,
        });
      }
      return reply.send(report);
    });
  });

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
    ({ params, query }) =>
      oneAtATime(async () => {
        const ref = documentRef(params.id, query.passage);
        const deleted = engine.delete([ref]);
        if (deleted === 0) throw noDocument(ref);
        return { deleted };
      }),
  );

  const snapshots = new SnapshotFolder(engine, options.snapshots);
  const oneSnapshot = serialQueue(); // writes go on meanwhile
  app.post('/snapshots', { schema: { response: { 200: SnapshotResponse, ...failures } } }, () =>
    oneSnapshot(() => snapshots.take()),
  );
  app.get('/snapshots', { schema: { response: { 200: SnapshotsResponse, ...failures } } }, () =>
    snapshots.list(),
  );

  app.get('/health', { schema: { response: { 200: HealthResponse, ...failures } } }, () => {
    const generation = engine.generation();
    return {
      status: 'ok' as const,
      documents: generation.numLive,
      generation: generation.manifest.generation,
      model: engine.model.name,
    };
  });

  // A view of the index keeps its pages alive: without searches an idle server would hold an old one while another
  // process writes, and the file would grow.
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

  app.get('/openapi.json', { schema: { hide: true } }, () => app.swagger());

  app.setErrorHandler((error: FastifyError | WinnowError, request, reply) => {
    const known = error instanceof WinnowError ? error : asWinnowError(error);
    if (known.status >= 500) request.log.error(error);
    const { code, message, place, hint } = known;
    return reply
      .status(known.status)
      .send({ code, message, ...(place ? { place } : {}), ...(hint ? { hint } : {}) });
  });
  app.setNotFoundHandler((request, reply) =>
    reply.status(404).send({
      code: 'WINNOW_NOT_FOUND',
      message: `no route ${request.method} ${request.url.split('?')[0]}`,
      hint: 'see /openapi.json for the routes',
    }),
  );
  return app;
}

const documentRef = (id: string, passage: string | number | undefined): PassageRef =>
  passage === undefined ? { id } : { id, passage: Number(passage) };

function noDocument({ id, passage }: PassageRef): WinnowError {
  const what = passage === undefined ? `document "${id}"` : `passage ${passage} of document "${id}"`;
  return new WinnowError('WINNOW_NOT_FOUND', `no ${what}`, { place: 'id' });
}

/** Fastify's own errors (validation, body too large, broken JSON) under the codes of this project. */
function asWinnowError(error: FastifyError): WinnowError {
  if ((error.statusCode ?? 500) < 500) {
    const place =
      error.validation?.[0]?.instancePath.slice(1).replaceAll('/', '.') ||
      error.validationContext ||
      'request';
    return new WinnowError('WINNOW_BAD_ARGUMENT', error.message, {
      place,
      hint: 'see /openapi.json for the shape',
      cause: error,
    });
  }
  return new WinnowError('WINNOW_SERVER', 'the request failed inside the server; its log has the details', {
    cause: error,
  });
}

/** Runs actions one after another in the order they come. */
function serialQueue(): <T>(action: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (action) => {
    const result = last.then(action, action);
    last = result.catch(() => {});
    return result;
  };
}
