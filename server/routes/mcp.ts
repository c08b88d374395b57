import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { SearchIndex } from '../../app/search-index.ts';
import type { SearchService } from '../../app/service/search-service.ts';
import { version } from '../../version.ts';
import type { ToolIndexes } from '../mcp/tool-host.ts';
import { CHECKED_BY_ROUTE, requireUse } from '../plugins/keys.ts';
import { type SearchTurns, withinBudget } from '../search-turns.ts';
import type { TypedApp } from './route-context.ts';

export interface McpRouteOptions {
  readonly service: SearchService;
  readonly turns: SearchTurns;
}

/**
 * `/mcp`: the Model Context Protocol over HTTP, without sessions. A key with scope `read` has the tools that search, one with scope
 * `write` also the one that changes documents. Files of the server are read by tasks, not by this.
 */
export async function mcpRoute(app: TypedApp, { service, turns }: McpRouteOptions): Promise<void> {
  app.route({
    method: ['GET', 'POST', 'DELETE'],
    url: '/mcp',
    config: { scope: 'read', collection: CHECKED_BY_ROUTE },
    schema: { hide: true },
    handler: async (request, reply) => {
      // Loaded by the first call: most servers are never asked by this protocol.
      const { createMcpHandler } = await import('@modelcontextprotocol/server');
      const { createToolServer } = await import('../mcp/tools.ts');
      const { apiKey } = request;
      const handler = createMcpHandler(
        () =>
          createToolServer(toolIndexes(service, turns, request, reply), {
            version: version(),
            mayWrite: apiKey === undefined || apiKey.scopes.some((scope) => scope !== 'read'),
            folders: [],
            onWritten: (counts) => {
              request.written = counts;
            },
          }),
        { onerror: (error) => request.log.warn(error) },
      );
      return send(reply, await handler.fetch(webRequest(request), { parsedBody: request.body }));
    },
  });
}

function toolIndexes(
  service: SearchService,
  turns: SearchTurns,
  request: FastifyRequest,
  reply: FastifyReply,
): ToolIndexes {
  const backend = (name: string) => {
    requireUse(request, name);
    return service.backend(name);
  };
  return {
    names: () => service.collections.names.filter((name) => request.mayUse(name)),
    open: (name) => new SearchIndex(backend(name)),
    search: (name, asked) => {
      const found = backend(name);
      const bounded = withinBudget(service.searchRequest(name, asked));
      return turns.run(reply, found, bounded, (signal) => found.search(bounded, signal));
    },
  };
}

function webRequest({ url, method, headers }: FastifyRequest): Request {
  const given = Object.entries(headers).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, String(value)] as [string, string]],
  );
  return new Request(new URL(url, 'http://localhost'), { method, headers: given });
}

function send(reply: FastifyReply, answer: Response): FastifyReply {
  reply.status(answer.status);
  for (const [name, value] of answer.headers) reply.header(name, value);
  return reply.send(answer.body === null ? null : Readable.fromWeb(answer.body as never));
}
