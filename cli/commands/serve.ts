import closeWithGrace from 'close-with-grace';
import type { Command } from 'commander';
import type { FastifyInstance } from 'fastify';
import { SearchService } from '../../app/service/search-service.ts';
import type { OpenSearchOptions } from '../../backends/opensearch/open-opensearch.ts';
import { defined } from '../../defined.ts';
import { WinnowError } from '../../errors.ts';
import { evaluateCollection } from '../../evaluation/collection.ts';
import { IndexStore } from '../../indexer/index-store.ts';
import type { SearchBackend } from '../../query/backend.ts';
import { keyFileOf } from '../../server/keys/key-file.ts';
import { createServer } from '../../server/server.ts';
import { reloadTls } from '../../server/tls.ts';
import { printable } from '../printable.ts';
import { requireKeysFor, type ServeSettings, serveSettings } from '../serve/serve-settings.ts';
import { addSettings } from '../serve/settings.ts';

export function registerServe(program: Command): void {
  addSettings(
    program
      .command('serve')
      .description('serve collections over HTTP')
      .argument(
        '[dir]',
        'data folder of collections, made of an empty or missing folder; or an index folder',
      ),
  ).action((folder: string | undefined, _options: unknown, command: Command) =>
    run(serveSettings(command, folder)),
  );
}

async function run(settings: ServeSettings): Promise<void> {
  const { folder, port, host, tls } = settings;
  requireKeysFor(host, keyFileOf(folder));
  const { service, backend } = await open(settings);
  const app = await start(service, settings);
  let address: string;
  try {
    address = await app.listen({ port, host });
  } catch (cause) {
    await app.close();
    await service.close();
    await backend?.close();
    throw new WinnowError('WINNOW_SERVER', `cannot listen: ${(cause as Error).message}`, {
      place: `${host}:${port}`,
      hint: 'choose another --port',
      cause,
    });
  }
  // A signal of its own: without TLS it means that the terminal is gone.
  if (tls)
    process.on('SIGHUP', () => {
      try {
        reloadTls(app, tls);
        app.log.info('the TLS files were read again');
      } catch (error) {
        app.log.error(error);
      }
    });
  // Registered after listening has succeeded: it makes a process that ends by itself exit with 0.
  closeWithGrace({ delay: 5000, ...(tls ? { skip: ['SIGHUP'] } : {}) }, async () => {
    await app.close();
    // Aborts a running encoding; its documents have not been acknowledged.
    await service.close();
    await backend?.close();
  });
  console.log(`winnow is listening on ${address} (${await contentsOf(service)}); press Ctrl-C to stop`);
}

/** @returns the service, and the connection to a cluster, which is closed after it */
async function open(
  settings: ServeSettings,
): Promise<{ readonly service: SearchService; readonly backend?: SearchBackend }> {
  const { folder, isIndex, readOnly, imports, snapshots, maxSnapshots } = settings;
  const { cluster, remoteIndex, model, backend, threads } = settings;
  const opening = {
    evaluate: evaluateCollection,
    ...defined({ readOnly, imports, snapshots, maxSnapshots, model, backend, cluster }),
    // The calling thread answers requests, so it encodes nothing.
    ...defined({ threads: threads === undefined ? undefined : Math.max(1, threads) }),
  };
  if (remoteIndex !== undefined) {
    const remote = await openRemote(remoteIndex, { ...opening, ...cluster! });
    return { service: SearchService.ofBackend(remote, { evaluate: evaluateCollection }), backend: remote };
  }
  if (isIndex || IndexStore.exists(folder)) return { service: SearchService.openIndex(folder, opening) };
  return { service: SearchService.openFolder(folder, opening) };
}

/** A cluster that is not there yet is waited for: `/readyz` says 503 until then. Other mistakes end the start. */
async function openRemote(index: string, options: OpenSearchOptions): Promise<SearchBackend> {
  const [{ openOpenSearch }, { DeferredBackend }] = await Promise.all([
    import('../../backends/opensearch/open-opensearch.ts'),
    import('../../backends/opensearch/deferred-backend.ts'),
  ]);
  const backend = new DeferredBackend(() => openOpenSearch(index, options), options.model);
  try {
    await backend.ready();
  } catch (error) {
    if (!(error instanceof WinnowError) || error.code !== 'WINNOW_CLUSTER') throw error;
    process.stderr.write(`${printable(String(error))}\n`);
  }
  return backend;
}

async function start(service: SearchService, settings: ServeSettings): Promise<FastifyInstance> {
  const {
    folder,
    port: _port,
    host: _host,
    model: _model,
    backend: _backend,
    cluster: _cluster,
    remoteIndex: _remoteIndex,
    ...served
  } = settings;
  const { allowHost: allowHosts, allowOrigin: allowOrigins, ...others } = served;
  try {
    return await createServer(service, {
      ...others,
      ...defined({ allowHosts, allowOrigins }),
      keys: keyFileOf(folder),
    });
  } catch (error) {
    await service.close();
    throw error;
  }
}

async function contentsOf(service: SearchService): Promise<string> {
  const count = (number: number) => number.toLocaleString('en');
  if (service.single) {
    const stats = await Promise.resolve(service.single.stats()).catch(() => undefined);
    return stats ? `${count(stats.documents)} documents` : 'the cluster does not answer yet';
  }
  return `${count(service.collections.names.length)} collections`;
}
