import type { SnapshotFolder } from '../../app/snapshot-folder.ts';
import type { SearchBackend } from '../../query/backend.ts';
import type { SearchTurns } from '../search-turns.ts';
import { documentRoutes } from './documents.ts';
import type { TypedApp } from './route-context.ts';
import { searchRoutes } from './search.ts';
import { snapshotRoutes } from './snapshots.ts';

/** When /v1 took their place (RFC 9745). */
const DEPRECATED_SINCE = Date.UTC(2026, 10, 27) / 1000;

/** By route: the one that takes its place. */
const SUCCESSORS: Readonly<Record<string, string>> = {
  '/search': '/v1/collections/default/search',
  '/explain': '/v1/collections/default/explain',
  '/documents': '/v1/collections/default/documents',
  '/documents/:id': '/v1/collections/default/documents/{id}',
  '/snapshots': '/v1/collections/default/tasks',
};

export interface UnversionedOptions {
  readonly backend: SearchBackend;
  readonly turns: SearchTurns;
  readonly bodyIdleMs: number;
  readonly snapshots: SnapshotFolder;
}

/** The routes before /v1, for one version: a server over one index has them, and their answers name their successors. */
export async function unversionedRoutes(app: TypedApp, options: UnversionedOptions): Promise<void> {
  app.addHook('onRequest', async ({ routeOptions }, reply) => {
    const successor = SUCCESSORS[routeOptions.url ?? ''];
    reply.header('deprecation', `@${DEPRECATED_SINCE}`);
    if (successor !== undefined) reply.header('link', `<${successor}>; rel="successor-version"`);
  });
  app.addHook('onRoute', (route) => {
    const { schema } = route;
    if (schema) Object.assign(schema, { deprecated: true, tags: ['deprecated'] });
  });
  await app.register(searchRoutes, options);
  await app.register(documentRoutes, options);
  await app.register(snapshotRoutes, options);
}
