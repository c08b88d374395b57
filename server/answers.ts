import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { type ErrorCode, WinnowError } from '../errors.ts';

/** Seconds after which a busy server may be asked again. */
const RETRY_AFTER = '1';

/** Answers `{code, message, place?, hint?}` and logs what is the server's own fault. */
export function answerError(
  error: FastifyError | WinnowError,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const known = error instanceof WinnowError ? error : asWinnowError(error);
  const status = statusOf(known);
  if (status === 503) {
    reply.header('retry-after', RETRY_AFTER);
    request.log.warn(known);
  } else if (status >= 500) request.log.error(known);
  // A body that was not read to its end would be read to be thrown away, however long it is.
  if (!request.raw.complete) reply.header('connection', 'close');
  return reply.status(status).type('application/json; charset=utf-8').send(shapeOf(known));
}

/** Node answers nothing to a request that it cannot parse; this does, in the shape of all errors. */
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
function asWinnowError(error: FastifyError): WinnowError {
  const status = error.statusCode ?? 500;
  if (status >= 500)
    return new WinnowError('WINNOW_SERVER', 'the request failed inside the server; its log has the details', {
      cause: error,
    });
  const place =
    error.validation?.[0]?.instancePath.slice(1).replaceAll('/', '.') || error.validationContext || 'request';
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

function shapeOf({ code, message, place, hint }: WinnowError): object {
  return { code, message, ...(place ? { place } : {}), ...(hint ? { hint } : {}) };
}

/** The error for a content type that a route does not read. */
export const mediaType = (given: string | undefined, wanted: string): WinnowError =>
  new WinnowError(
    'WINNOW_MEDIA_TYPE',
    given ? `this route does not read ${JSON.stringify(given)}` : 'the request has no content type',
    { place: 'content-type', hint: `send content-type: ${wanted}` },
  );
