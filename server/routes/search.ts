import type { SearchBackend } from '../../query/backend.ts';
import { ExplainRequest, ExplainResponse, SearchRequest, SearchResponse } from '../schemas.ts';
import { type SearchTurns, withinBudget } from '../search-turns.ts';
import { documentRef, failures, type TypedApp } from './route-context.ts';

/** `POST /search` and `POST /explain`. */
export async function searchRoutes(
  app: TypedApp,
  { backend, turns }: { backend: SearchBackend; turns: SearchTurns },
): Promise<void> {
  app.post(
    '/search',
    {
      config: { scope: 'read', collection: 'default' },
      schema: {
        summary: 'Search',
        description: 'The documents that answer a query, best first.',
        body: SearchRequest,
        response: { 200: SearchResponse, ...failures },
      },
    },
    ({ body }, reply) => {
      const request = withinBudget(body);
      return turns.run(reply, backend, request, (signal) => backend.search(request, signal));
    },
  );

  app.post(
    '/explain',
    {
      config: { scope: 'read', collection: 'default' },
      schema: {
        summary: 'Explain',
        description:
          'Why a document has its score for a query, token by token, and which rank. Of a document that was cut into passages, the best one is explained.',
        body: ExplainRequest,
        response: { 200: ExplainResponse, ...failures },
      },
    },
    ({ body: { query, id, passage, ...options } }, reply) => {
      const document = documentRef(id, passage);
      const request = withinBudget({ query, document, ...options });
      return turns.run(reply, backend, { query }, (signal) => backend.explain(request, signal));
    },
  );
}
