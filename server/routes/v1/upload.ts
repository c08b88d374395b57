import type { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { busy } from '../../../app/lane.ts';
import { shownFailure } from '../../../app/service/failure.ts';
import type { WriteResult } from '../../../app/service/types.ts';
import { type DocumentWriter, rowsOfList } from '../../../app/service/write-documents.ts';
import { openJsonlStream } from '../../../corpus/open-corpus.ts';
import { type ErrorCode, WinnowError } from '../../../errors.ts';
import { LIMITS } from '../../limits.ts';
import { LineStream } from '../../line-stream.ts';
import { isJson, isNdjson } from '../../plugins/bodies.ts';
import { mediaType } from '../../plugins/errors.ts';
import { CollectionPath } from '../../schemas/v1/common.ts';
import { DocumentsBody, type RESULTS, WriteAnswer, WriteQuery } from '../../schemas/v1/documents.ts';
import { readBody } from '../../upload-body.ts';
import { failures, goneClient, type TypedApp } from '../route-context.ts';
import type { V1Options } from './context.ts';

type Shown = (typeof RESULTS)[number];

/** Largest JSON body; NDJSON has no limit. */
const JSON_BYTES = 8 * 1024 * 1024;

/** `POST /v1/collections/:c/documents`: bodies are read side by side, each with one batch in memory. */
export function uploadRoute(app: TypedApp, { service, bodyIdleMs: idleMs }: V1Options): void {
  let uploads = 0;
  app.post(
    '/v1/collections/:c/documents',
    {
      bodyLimit: JSON_BYTES,
      schema: {
        tags: ['documents'],
        summary: 'Add documents',
        description:
          'A JSON document, a list of up to 10,000, or NDJSON (content type application/x-ndjson, also with content-encoding: gzip), which is stored while it arrives and answered by NDJSON: one result per line of the body, then {"summary": …, "error"?: …}. What is reported as added, replaced or unchanged is stored durably. A single document that is bad is an error.',
        params: CollectionPath,
        querystring: WriteQuery,
        body: {
          content: { 'application/json': { schema: DocumentsBody }, 'application/x-ndjson': { schema: {} } },
        },
        response: { 200: WriteAnswer, ...failures },
      },
      onRequest: async ({ headers }) => {
        const type = headers['content-type'];
        if (!isNdjson(type) && !isJson(type))
          throw mediaType(type, 'application/x-ndjson, one JSON document per line, or application/json');
      },
    },
    async (request, reply) => {
      if (uploads >= LIMITS.uploads) throw busy(`${uploads} uploads are being read already`);
      uploads++;
      try {
        const { mode, results: shown = 'all', passages } = request.query;
        const signal = AbortSignal.any([app.stopping, goneClient(reply)]);
        const options = { passages: passages !== 'false', signal, ...(mode ? { mode } : {}) };
        const writer = service.writer(request.params.c, options);
        if (!isNdjson(request.headers['content-type']))
          return (await answerList(writer, request, shown)) as never;
        return (await answerLines(writer, request, reply, { signal, idleMs, shown })) as never;
      } finally {
        uploads--;
      }
    },
  );
}

async function answerList(writer: DocumentWriter, request: FastifyRequest, shown: Shown): Promise<object> {
  const { body } = request;
  const results: WriteResult[] = [];
  const list = Array.isArray(body) ? body : [body];
  for await (const result of writer.write(rowsOfList(list))) results.push(result);
  const [first] = results;
  if (!Array.isArray(body) && first?.error) {
    const { code, message, place, hint } = first.error;
    throw new WinnowError(code as ErrorCode, message, {
      ...(place ? { place } : {}),
      ...(hint ? { hint } : {}),
    });
  }
  results.sort((a, b) => a.line - b.line);
  request.written = { ...writer.summary };
  return { results: results.filter((result) => isShown(result, shown)), summary: writer.summary };
}

interface LineOptions {
  readonly signal: AbortSignal;
  readonly idleMs: number;
  readonly shown: Shown;
}

/** Errors before the first result are answered as errors; later ones end the lines. */
async function answerLines(
  writer: DocumentWriter,
  request: FastifyRequest,
  reply: FastifyReply,
  { signal, idleMs, shown }: LineOptions,
): Promise<FastifyReply> {
  const { body, headers, log } = request;
  const chunks = readBody(body as Readable, { signal, idleMs, encoding: headers['content-encoding'] });
  const results = writer.write(openJsonlStream(chunks, 'request body', { maxTrackedIds: 0 }));
  let next = await results.next();
  const lines = new LineStream();
  reply.type('application/x-ndjson; charset=utf-8');
  // Nothing of an unread body may be taken for the next request.
  if (!(body as Readable).readableEnded) reply.header('connection', 'close');
  const sent = reply.send(lines.readable);
  try {
    for (; !next.done; next = await results.next())
      if (isShown(next.value, shown)) await lines.write(next.value, signal);
    request.written = { ...writer.summary };
    lines.end({ summary: writer.summary });
  } catch (error) {
    if (!(error instanceof WinnowError)) log.error(error);
    request.written = { ...writer.summary };
    lines.end({ summary: writer.summary, error: shownFailure(error) });
  }
  return sent;
}

const isShown = ({ status }: WriteResult, shown: Shown): boolean =>
  shown === 'all' || (shown === 'errors' && status === 'failed');
