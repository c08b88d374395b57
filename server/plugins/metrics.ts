import type { FastifyRequest } from 'fastify';
import plugin from 'fastify-plugin';
import { Registry } from 'prom-client';
import type { SearchTimings } from '../../query/response.ts';
import { observeProcess } from '../metrics/process-metrics.ts';
import { type NamedBackend, observeState, ServerMetrics } from '../metrics/server-metrics.ts';
import type { Queue } from '../open-lane.ts';

declare module 'fastify' {
  interface FastifyInstance {
    readonly metrics: ServerMetrics;
  }
}

export interface MetricsOptions {
  /** The indexes that the server answers from at the moment. */
  readonly collections: () => readonly NamedBackend[];
  /** Queues beside those of the server itself. */
  readonly queues: () => readonly Queue[];
}

/**
 * `GET /metrics` in Prometheus' text format. Timings of searches are read from answers that have them, so that routes need not know
 * about metrics. Register it after `audit`, and before the routes.
 */
export const metrics = plugin(async (app, { collections, queues }: MetricsOptions) => {
  const registry = new Registry();
  const counted = new ServerMetrics([registry]);
  const lanes: Queue[] = [];
  app.decorate('metrics', counted);
  app.decorate('lanes', lanes);
  const refresh = observeState([registry], () => [...lanes, ...queues()], collections);
  const stop = observeProcess([registry]);
  app.addHook('onClose', async () => stop());
  app.addHook('preSerialization', (_request, _reply, payload, done) => {
    for (const timings of timingsOf(payload)) counted.searched(timings);
    done(null, payload);
  });
  app.addHook('onResponse', (request, { statusCode, elapsedTime }, done) => {
    counted.answered(request.method, routeOf(request), statusCode, elapsedTime / 1000);
    done();
  });
  app.onWritten.push(({ written }) => written && counted.written(written));
  app.get(
    '/metrics',
    { config: { scope: 'read', isProbe: true }, schema: { hide: true }, logLevel: 'warn' },
    async (_request, reply) => {
      await refresh();
      const text = await registry.metrics();
      return reply.type(registry.contentType).send(text);
    },
  );
});

const routeOf = ({ is404, routeOptions }: FastifyRequest): string =>
  is404 ? 'none' : (routeOptions.url ?? 'none');

/** Of the answer to a search, or to several. */
function timingsOf(payload: unknown): SearchTimings[] {
  if (typeof payload !== 'object' || payload === null) return [];
  const { timings, results } = payload as { timings?: SearchTimings; results?: unknown };
  if (Array.isArray(results)) return results.flatMap(timingsOf);
  return typeof timings?.encodeUs === 'number' ? [timings] : [];
}
