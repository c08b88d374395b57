import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { SearchService } from '../../../app/service/search-service.ts';
import { createServer, type ServerOptions } from '../../../server/server.ts';
import { tempFolder } from '../../helpers/temp-folder.ts';

/** A server over a new data folder. */
export interface V1Server {
  readonly app: FastifyInstance;
  readonly service: SearchService;
  readonly folder: string;
  readonly port: number;
  call(method: string, path: string, body?: unknown): Promise<Answer>;
  close(): Promise<void>;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** Parsed where it is JSON, the lines where it is NDJSON. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of all shapes
  readonly body: any;
}

export async function startV1(options: ServerOptions = {}): Promise<V1Server> {
  const folder = join(tempFolder(), 'data');
  const service = SearchService.openFolder(folder, { threads: 1 });
  const app = await createServer(service, { log: 'silent', ...options });
  const base = await app.listen({ port: 0, host: '127.0.0.1' });
  return {
    app,
    service,
    folder,
    port: (app.server.address() as AddressInfo).port,
    async call(method, path, body) {
      const type = typeof body === 'string' ? 'application/x-ndjson' : 'application/json';
      const response = await fetch(`${base}/v1${path}`, {
        method,
        ...(body === undefined
          ? {}
          : {
              body: typeof body === 'string' ? body : JSON.stringify(body),
              headers: { 'content-type': type },
            }),
      });
      return {
        status: response.status,
        headers: response.headers,
        body: parsed(response, await response.text()),
      };
    },
    async close() {
      await app.close();
      await service.close();
    },
  };
}

function parsed({ headers }: Response, text: string): unknown {
  const type = headers.get('content-type') ?? '';
  if (type.includes('ndjson'))
    return text
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line));
  return text === '' ? undefined : JSON.parse(text);
}

/** NDJSON of rows; texts stay as they are. */
export const lines = (rows: readonly unknown[]): string =>
  rows.map((row) => (typeof row === 'string' ? row : JSON.stringify(row))).join('\n');
