import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import plugin from 'fastify-plugin';
import { shownFailure } from '../../app/service/failure.ts';
import { type ErrorCode, WinnowError } from '../../errors.ts';
import { BadParameter, badParameter } from '../bad-parameter.ts';

/** Gives every error the same shape, also for paths and methods that do not exist. Register it before any route. */
export const errors = plugin(async (app) => {
  /** Methods by the pattern of their path. */
  const routes = new Map<string, Set<string>>();
  app.addHook('onRoute', ({ url, method }) => {
    if (url === '*') return; // preflights
    const methods = routes.get(url) ?? new Set();
    for (const one of [method].flat()) methods.add(one);
    routes.set(url, methods);
  });
  app.setErrorHandler(answerError);
  app.setNotFoundHandler((request, reply) => answerError(noRoute(routes, request, reply), request, reply));
});

/** 405 with the methods that the path has, or 404. */
function noRoute(
  routes: ReadonlyMap<string, ReadonlySet<string>>,
  { method, url }: FastifyRequest,
  reply: FastifyReply,
): WinnowError {
  const path = url.split('?')[0]!;
  const methods = methodsOf(routes, path);
  if (methods.length === 0)
    return new WinnowError('WINNOW_NOT_FOUND', `no route ${method} ${path}`, {
      place: 'request',
      hint: 'see /openapi.json for the routes',
    });
  const allowed = methods.join(', ');
  reply.header('allow', allowed);
  return new WinnowError('WINNOW_METHOD', `${path} has no method ${method}`, {
    place: 'request',
    hint: `it has ${allowed}`,
  });
}

/** Of all patterns that a path fits: `/documents/:id` fits `/documents/7`. */
function methodsOf(routes: ReadonlyMap<string, ReadonlySet<string>>, path: string): string[] {
  const segments = path.split('/');
  const fits = (pattern: string): boolean => {
    const parts = pattern.split('/');
    return (
      parts.length === segments.length &&
      parts.every((part, i) => part.startsWith(':') || part === segments[i])
    );
  };
  return [...routes].flatMap(([pattern, methods]) => (fits(pattern) ? [...methods] : []));
}

/** Seconds after which a client may ask a busy server again. */
const RETRY_AFTER = '1';

/** Answers `{code, message, place?, hint?, requestId}` and logs what is the server's own fault. */
export function answerError(
  error: FastifyError | WinnowError,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const known = error instanceof WinnowError ? error : asWinnowError(error, request);
  const status = statusOf(known);
  if (status === 503) {
    reply.header('retry-after', RETRY_AFTER);
    request.log.warn(known);
  } else if (status >= 500) request.log.error(known);
  // Without this, Node would read the rest of an unread body, however long, only to discard it.
  if (!request.raw.complete) reply.header('connection', 'close');
  return reply
    .status(status)
    .type('application/json; charset=utf-8')
    .send({ ...shapeOf(known), requestId: request.id });
}

/** Answers requests that Node cannot parse, in the shape of all errors. */
export function answerClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed || !socket.writable) return void socket.destroy();
  const known = CLIENT_ERRORS[error.code ?? ''] ?? {
    status: 400,
    code: 'WINNOW_BAD_ARGUMENT',
    message: 'this is no HTTP/1.1 request',
  };
  const body = JSON.stringify({ code: known.code, message: known.message, place: 'request' });
  socket.end(
    `HTTP/1.1 ${known.status} ${STATUS_CODES[known.status]}\r\ncontent-type: application/json; charset=utf-8\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
    () => socket.destroySoon(),
  );
}

const CLIENT_ERRORS: Readonly<Record<string, { status: number; code: ErrorCode; message: string }>> = {
  HPE_HEADER_OVERFLOW: {
    status: 431,
    code: 'WINNOW_TOO_LARGE',
    message: 'the URL and headers are longer than 16 KB',
  },
  HPE_CHUNK_EXTENSIONS_OVERFLOW: {
    status: 413,
    code: 'WINNOW_TOO_LARGE',
    message: 'the extensions of a chunk are longer than 16 KB',
  },
  ERR_HTTP_REQUEST_TIMEOUT: {
    status: 408,
    code: 'WINNOW_TIMEOUT',
    message: 'the headers did not arrive in time',
  },
};

/** Statuses of Fastify's own errors that say more than 400. */
const CODES: Readonly<Record<number, ErrorCode>> = {
  413: 'WINNOW_TOO_LARGE',
  414: 'WINNOW_TOO_LARGE',
  415: 'WINNOW_MEDIA_TYPE',
};

/** Fastify's own errors (validation, body too large, broken JSON) under the codes of this project. */
function asWinnowError(error: FastifyError, { headers }: FastifyRequest): WinnowError {
  // What curl -d sends unless it is told the type.
  if (error.code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE')
    return mediaType(headers['content-type'], 'application/json');
  const status = error.statusCode ?? 500;
  if (status >= 500)
    return new WinnowError('WINNOW_SERVER', 'the request failed inside the server; its log has the details', {
      cause: error,
    });
  const place =
    error.validation?.[0]?.instancePath.slice(1).replaceAll('/', '.') || error.validationContext || 'request';
  const suggested = badParameter(error, place);
  if (suggested) return suggested;
  return new WinnowError(CODES[status] ?? 'WINNOW_BAD_ARGUMENT', error.message, {
    place,
    hint: 'see /openapi.json for the shape',
    cause: error,
  });
}

function statusOf(error: WinnowError): number {
  const { statusCode } = (error.cause ?? {}) as { statusCode?: unknown };
  return error.code === 'WINNOW_TOO_LARGE' && statusCode === 414 ? 414 : error.status;
}

const shapeOf = (error: WinnowError): object => ({
  ...shownFailure(error),
  ...(error instanceof BadParameter ? { suggestion: error.suggestion } : {}),
});

/** The error for a content type that a route does not read. */
export const mediaType = (given: string | undefined, wanted: string): WinnowError =>
  new WinnowError(
    'WINNOW_MEDIA_TYPE',
    given ? `this route does not read ${JSON.stringify(given)}` : 'the request has no content type',
    { place: 'content-type', hint: `send content-type: ${wanted}` },
  );
