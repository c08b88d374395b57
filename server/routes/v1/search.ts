import type { FastifyReply } from 'fastify';
import { shownFailure } from '../../../app/service/failure.ts';
import type { SearchService } from '../../../app/service/search-service.ts';
import type { SearchQuery } from '../../../app/service/types.ts';
import { WinnowError } from '../../../errors.ts';
import type { SearchResponse } from '../../../query/response.ts';
import { CHECKED_BY_ROUTE, requireUse } from '../../plugins/keys.ts';
import { CollectionPath } from '../../schemas/v1/common.ts';
import {
  EncodeAnswer,
  EncodeRequest,
  ExplainAnswer,
  ExplainRequest,
  MultiSearchAnswer,
  MultiSearchRequest,
  SearchAnswer,
  SearchRequest,
} from '../../schemas/v1/search.ts';
import { type SearchTurns, withinBudget } from '../../search-turns.ts';
import { documentRef, failures, type TypedApp } from '../route-context.ts';
import { READ, type V1Options } from './context.ts';

const tags = ['search'];

/**
 * Answers of searches are many short strings, which V8 writes in two thirds of the time of a serializer that is generated from the schema.
 * Their types are those of the schema (query/response.ts), so that nothing has to be left out. Where they have characters beyond ASCII, a string
 * takes twice as long to send as its bytes.
 */
const asTheyAre = {
  serializerCompiler: () => (answer: unknown) => Buffer.from(JSON.stringify(answer)) as unknown as string,
};

/** Search, multi-search, explain and encode. */
export async function v1SearchRoutes(app: TypedApp, { service, turns }: V1Options): Promise<void> {
  app.post(
    '/v1/collections/:c/search',
    {
      ...asTheyAre,
      config: READ,
      schema: {
        tags,
        summary: 'Search',
        description: 'The documents that answer a query, best first. Give a query, a vector, or both.',
        params: CollectionPath,
        body: SearchRequest,
        response: { 200: SearchAnswer, ...failures },
      },
    },
    ({ params, body }, reply) => search(service, turns, reply, params.c, body),
  );
  addMultiSearchRoute(app, service, turns);
  addExplainRoute(app, service, turns);
  addEncodeRoute(app, service, turns);
}

function addMultiSearchRoute(app: TypedApp, service: SearchService, turns: SearchTurns): void {
  app.post(
    '/v1/multi-search',
    {
      ...asTheyAre,
      config: { ...READ, collection: CHECKED_BY_ROUTE },
      schema: {
        tags,
        summary: 'Several searches at once',
        description:
          'One result per search, in their order; a search that fails has an error and does not end the others.',
        body: MultiSearchRequest,
        response: { 200: MultiSearchAnswer, ...failures },
      },
    },
    async (request, reply) => {
      const { body, log } = request;
      const results = [];
      for (const { collection, ...query } of body.searches) {
        try {
          requireUse(request, collection);
          results.push(await search(service, turns, reply, collection, query));
        } catch (error) {
          if (!(error instanceof WinnowError)) log.error(error);
          results.push({ error: shownFailure(error) });
        }
      }
      return { results };
    },
  );
}

function addEncodeRoute(app: TypedApp, service: SearchService, turns: SearchTurns): void {
  app.post(
    '/v1/collections/:c/encode',
    {
      config: READ,
      schema: {
        tags,
        summary: 'Encode texts',
        description:
          "What the collection's model makes of texts: weights by token, and a vector where it makes one. The terms can be sent as the vector of a search. Requests are worked on one after another.",
        params: CollectionPath,
        body: EncodeRequest,
        response: { 200: EncodeAnswer, ...failures },
      },
    },
    async ({ params: { c }, body: { texts, kind = 'document' } }, reply) => {
      service.backend(c); // an unknown collection is reported at once
      const items = await turns.encode(reply, (signal) => service.encode(c, texts, kind, signal));
      return { items: [...items] };
    },
  );
}

function addExplainRoute(app: TypedApp, service: SearchService, turns: SearchTurns): void {
  app.post(
    '/v1/collections/:c/explain',
    {
      config: READ,
      schema: {
        tags,
        summary: 'Explain',
        description:
          'Why a document has its score for a query, token by token, and which rank. Of a document that was cut into passages, the best one is explained.',
        params: CollectionPath,
        body: ExplainRequest,
        response: { 200: ExplainAnswer, ...failures },
      },
    },
    async ({ params: { c }, body: { query, id, passage, ...options } }, reply) => {
      const request = withinBudget({ query, document: documentRef(id, passage), ...options });
      return turns.run(reply, service.backend(c), { query }, (signal) => service.explain(c, request, signal));
    },
  );
}

async function search(
  service: SearchService,
  turns: SearchTurns,
  reply: FastifyReply,
  name: string,
  asked: SearchQuery,
): Promise<SearchResponse> {
  const backend = service.backend(name);
  const request = withinBudget(service.searchRequest(name, asked));
  return turns.run(reply, backend, request, (signal) => backend.search(request, signal));
}
