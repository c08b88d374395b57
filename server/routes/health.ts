import type { SearchBackend } from '../../query/backend.ts';
import { AliveResponse, HealthResponse } from '../schemas.ts';
import { failures, type TypedApp } from './route-context.ts';

export interface HealthRouteOptions {
  /** Of a server over one index, whose `/health` it is. */
  readonly backend: SearchBackend | undefined;
  /** Indexes that searches need; rejects when one cannot be searched. */
  readonly requireReady: () => Promise<void>;
}

/** `GET /health`, and what orchestrators ask: `GET /healthz` and `GET /readyz`, which need no key and say nothing else. */
export async function healthRoutes(
  app: TypedApp,
  { backend, requireReady }: HealthRouteOptions,
): Promise<void> {
  const probe = { scope: 'public', anyHost: true, isProbe: true } as const;
  const response = { 200: AliveResponse, ...failures };
  if (backend) addHealthRoute(app, backend);
  app.get(
    '/healthz',
    {
      config: probe,
      schema: {
        summary: 'Liveness',
        description: 'Answers 200 while the process works. Needs no key, and answers under any host name.',
        response,
      },
    },
    async () => ({ status: 'ok' as const }),
  );
  app.get(
    '/readyz',
    {
      config: probe,
      schema: {
        summary: 'Readiness',
        description:
          'Answers 200 while every index can be searched, and 503 otherwise. Needs no key, and answers under any host name.',
        response,
      },
    },
    async () => {
      await requireReady();
      return { status: 'ok' as const };
    },
  );
}

function addHealthRoute(app: TypedApp, backend: SearchBackend): void {
  app.get(
    '/health',
    {
      config: { collection: 'default', isProbe: true },
      schema: {
        summary: 'Health',
        description: 'Answers 200 while searches can be answered, and 503 when the index folder is gone.',
        response: { 200: HealthResponse, ...failures },
      },
    },
    async () => {
      const { documents, generation, model } = await backend.health();
      return { status: 'ok' as const, documents, generation, model };
    },
  );
}
