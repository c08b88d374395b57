import { appendFileSync } from 'node:fs';
import type { FastifyRequest } from 'fastify';
import plugin from 'fastify-plugin';
import { scopeOf } from './keys.ts';

/** How many documents, by what happened to them: `{added: 3, replaced: 1}`. */
export type WriteCounts = Readonly<Record<string, number>>;

declare module 'fastify' {
  interface FastifyRequest {
    /** What a write did. Read from an answer that is one JSON object; routes that stream say it themselves. */
    written: WriteCounts | undefined;
  }
  interface FastifyInstance {
    /** Called with each write that was answered, by `audit`'s users such as metrics. */
    readonly onWritten: ((request: FastifyRequest) => void)[];
  }
}

export interface AuditOptions {
  /**
   * File that lines are appended to, made with mode 0600. Default: the log, at level `info`; those of writes with a key are there
   * whatever its level is.
   */
  readonly audit?: string;
}

/** Counts of an answer that an audit line repeats. */
const COUNTS = ['added', 'replaced', 'unchanged', 'refused', 'updated', 'deleted', 'documents'] as const;

/** One line per request that may write: who, what, how many, with which outcome. Register it after `keys`. */
export const audit = plugin(async (app, { audit: file }: AuditOptions) => {
  const always = app.log.child({}, { level: 'info' });
  app.decorateRequest('written', undefined);
  app.decorate('onWritten', [] as ((request: FastifyRequest) => void)[]);
  app.addHook('preSerialization', (request, _reply, payload, done) => {
    if (isWrite(request)) request.written ??= countsOf(payload);
    done(null, payload);
  });
  app.addHook('onResponse', (request, { statusCode }, done) => {
    done();
    if (!isWrite(request) && !request.written) return;
    for (const listener of app.onWritten) listener(request);
    const line = { audit: lineOf(request, statusCode) };
    if (file === undefined) (request.apiKey ? always : app.log).info(line, 'write');
    else
      try {
        // By path, so that the file can be rotated; before the next request, so that lines keep their order.
        appendFileSync(file, `${JSON.stringify({ time: new Date().toISOString(), ...line.audit })}\n`, {
          mode: 0o600,
        });
      } catch (error) {
        app.log.error({ error, ...line }, 'the audit file cannot be written');
      }
  });
});

/** Requests of unknown routes write nothing. */
function isWrite(request: FastifyRequest): boolean {
  const { method, is404 } = request;
  if (is404 || method === 'GET' || method === 'HEAD' || method === 'OPTIONS') return false;
  const scope = scopeOf(request);
  return scope === 'write' || scope === 'admin';
}

function lineOf(request: FastifyRequest, status: number): object {
  const { id, apiKey, ip, method, routeOptions, params, written } = request;
  const { c, id: document } = (params ?? {}) as { c?: string; id?: string };
  return {
    key: apiKey?.id ?? null,
    ip,
    action: `${method} ${routeOptions.url}`,
    ...(c === undefined ? {} : { collection: c }),
    ...(document === undefined ? {} : { document }),
    ...(written ?? {}),
    status,
    requestId: id,
  };
}

function countsOf(payload: unknown): WriteCounts | undefined {
  if (typeof payload !== 'object' || payload === null) return undefined;
  const given = payload as Record<string, unknown>;
  const counts = COUNTS.flatMap((name) => (typeof given[name] === 'number' ? [[name, given[name]]] : []));
  return Object.fromEntries(counts) as WriteCounts;
}
