import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { busy } from '../../../app/lane.ts';
import { shownFailure } from '../../../app/service/failure.ts';
import type { Failure, WriteResult } from '../../../app/service/types.ts';
import { fileKind } from '../../../corpus/folder.ts';
import { openCorpus } from '../../../corpus/open-corpus.ts';
import { WinnowError } from '../../../errors.ts';
import { LIMITS } from '../../limits.ts';
import { LineStream } from '../../line-stream.ts';
import { CollectionPath } from '../../schemas/v1/common.ts';
import { FileQuery } from '../../schemas/v1/documents.ts';
import { readBody } from '../../upload-body.ts';
import { failures, goneClient, type TypedApp } from '../route-context.ts';
import type { V1Options } from './context.ts';

const BYTES = 'application/octet-stream';

/** `POST /v1/collections/:c/files`: one file, read as `winnow index` reads it. */
export async function fileRoutes(app: TypedApp, { service, bodyIdleMs: idleMs }: V1Options): Promise<void> {
  let uploads = 0;
  app.addContentTypeParser(BYTES, (_request, payload, done) => done(null, payload));
  app.post(
    '/v1/collections/:c/files',
    {
      schema: {
        tags: ['documents'],
        summary: 'Add a file',
        description: `A Markdown, HTML, text, CSV or JSON Lines file as it is (content type ${BYTES}), read as winnow index reads it: a text file is one document, whose id is the file's name. It is answered like NDJSON of POST /documents.`,
        params: CollectionPath,
        querystring: FileQuery,
        // The schema of a body that is streamed is for readers of the documentation.
        body: { content: { [BYTES]: { schema: {} } } },
        response: failures,
      },
    },
    async (request, reply) => {
      if (uploads >= LIMITS.uploads) throw busy(`${uploads} files are being read already`);
      uploads++;
      const folder = await mkdtemp(join(tmpdir(), 'winnow-upload-'));
      try {
        const { name, passages } = request.query;
        const path = join(folder, checkedName(name));
        const signal = AbortSignal.any([app.stopping, goneClient(reply)]);
        const writer = service.writer(request.params.c, { passages: passages !== 'false', signal });
        await save(request, path, { signal, idleMs });
        const results = writer.write(await openCorpus(path, { maxTrackedIds: 0 }));
        try {
          return (await answer(results, () => writer.summary, { request, reply, signal, folder })) as never;
        } finally {
          request.written = { ...writer.summary };
        }
      } finally {
        uploads--;
        await rm(folder, { recursive: true, force: true });
      }
    },
  );
}

/** @throws WinnowError WINNOW_BAD_ARGUMENT, WINNOW_UNKNOWN_FORMAT */
function checkedName(name: string): string {
  if (name.startsWith('.') || [...name].some((one) => '/\\'.includes(one) || one < ' '))
    throw new WinnowError('WINNOW_BAD_ARGUMENT', 'must be the name of a file, without folders', {
      place: 'name',
      hint: 'such as notes.md',
    });
  if (fileKind(name)) return name;
  throw new WinnowError(
    'WINNOW_UNKNOWN_FORMAT',
    `cannot tell the format of ${JSON.stringify(name)} from its name`,
    {
      place: 'name',
      hint: 'use .jsonl, .ndjson, .csv, .tsv, .md, .html or .txt',
    },
  );
}

/** Files are read from a disk, because their readers look at their start before they decide how to read them. */
async function save(
  { body, headers }: FastifyRequest,
  path: string,
  options: { readonly signal: AbortSignal; readonly idleMs: number },
): Promise<void> {
  const raw = body as Parameters<typeof readBody>[0];
  const chunks = readBody(raw, { ...options, encoding: headers['content-encoding'] });
  await pipeline(limited(chunks), createWriteStream(path, { mode: 0o600 }));
}

async function* limited(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let bytes = 0;
  for await (const chunk of chunks) {
    bytes += chunk.length;
    if (bytes > LIMITS.fileBytes)
      throw new WinnowError('WINNOW_TOO_LARGE', `the file has more than ${LIMITS.fileBytes} bytes`, {
        place: 'request body',
        hint: 'index it with a task, or send NDJSON to POST /documents, which has no limit',
      });
    yield chunk;
  }
}

interface Answering {
  readonly request: FastifyRequest<{ Querystring: { readonly results?: string } }>;
  readonly reply: FastifyReply;
  readonly signal: AbortSignal;
  /** Its path must not be in the answer. */
  readonly folder: string;
}

/** Resolves when all is written; errors after the first result end the lines. */
async function answer(
  results: AsyncGenerator<WriteResult>,
  summary: () => object,
  { request, reply, signal, folder }: Answering,
): Promise<FastifyReply> {
  const { results: shown = 'all' } = request.query;
  const show = ({ place, ...failure }: Failure): Failure => ({
    ...failure,
    message: failure.message.replaceAll(`${folder}/`, ''),
    ...(place ? { place: place.replaceAll(`${folder}/`, '') } : {}),
  });
  let next = await results.next();
  const lines = new LineStream();
  reply.type('application/x-ndjson; charset=utf-8');
  const sent = reply.send(lines.readable);
  try {
    for (; !next.done; next = await results.next()) {
      const { error, ...result } = next.value;
      if (shown === 'all' || (shown === 'errors' && error))
        await lines.write({ ...result, ...(error ? { error: show(error) } : {}) }, signal);
    }
    lines.end({ summary: summary() });
  } catch (error) {
    if (!(error instanceof WinnowError)) request.log.error(error);
    lines.end({ summary: summary(), error: shownFailure(error) });
  }
  return sent;
}
