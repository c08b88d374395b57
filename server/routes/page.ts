import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance } from 'fastify';
import { packageRoot } from '../../package-root.ts';

const plots = dirname(createRequire(import.meta.url).resolve('uplot/dist/uPlot.esm.js'));

/**
 * The search page: `GET /`, and its files under `/assets/`. None needs a key, because none holds data: the page sends the key that its
 * user enters. They do not count against the rate of an address, which is for the API. All that the page loads comes from here.
 */
export async function page(app: FastifyInstance): Promise<void> {
  app.addHook('onRoute', (route) => {
    route.config = { ...route.config, scope: 'public', isProbe: true };
    route.schema = { ...route.schema, hide: true };
  });
  const files = { wildcard: false, index: false, cacheControl: false, decorateReply: false } as const;
  await app.register(fastifyStatic, {
    ...files,
    root: join(packageRoot, 'page', 'assets'),
    prefix: '/assets/',
    decorateReply: true,
    // A browser asks each time whether a file changed, so that a new version of the server has no old scripts.
    setHeaders: (reply) => void reply.setHeader('cache-control', 'no-cache'),
  });
  await app.register(fastifyStatic, {
    ...files,
    root: plots,
    prefix: '/assets/uplot/',
    setHeaders: (reply) => void reply.setHeader('cache-control', 'no-cache'),
  });
  app.get('/', (_request, reply) => {
    reply.header('cache-control', 'no-cache');
    return reply.sendFile('index.html', join(packageRoot, 'page'));
  });
}
