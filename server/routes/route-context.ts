import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyBaseLogger, FastifyInstance, FastifyReply, RawServerDefault } from 'fastify';
import { WinnowError } from '../../errors.ts';
import type { PassageRef } from '../../indexer/format/stored-id.ts';
import { ErrorResponse } from '../schemas.ts';

/** An instance whose routes have the types of their TypeBox schemas. */
export type TypedApp = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;

/** Schemas of error answers, the same for every route. */
export const failures = { '4xx': ErrorResponse, '5xx': ErrorResponse };

/** Aborted when the connection closes before the answer is written. */
export function goneClient(reply: FastifyReply): AbortSignal {
  const gone = new AbortController();
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) gone.abort(new WinnowError('WINNOW_TIMEOUT', 'the client is gone'));
  });
  return gone.signal;
}

export const documentRef = (id: string, passage: string | number | undefined): PassageRef =>
  passage === undefined ? { id } : { id, passage: Number(passage) };
