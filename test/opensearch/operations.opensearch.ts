import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { SearchService } from '../../app/service/search-service.ts';
import { rowsOfList } from '../../app/service/write-documents.ts';
import { moveAlias } from '../../backends/opensearch/alias.ts';
import { DeferredBackend } from '../../backends/opensearch/deferred-backend.ts';
import { type OpenSearchOptions, openOpenSearch } from '../../backends/opensearch/open-opensearch.ts';
import type { SourceDocument } from '../../indexer/types.ts';
import { cli, startCli } from '../helpers/cli.ts';
import { ask, type Served, stop } from '../helpers/served.ts';
import { tempFolder } from '../helpers/temp-folder.ts';
import { codeOf } from '../helpers/thrown.ts';
import { runWithCluster } from './suite.ts';

const NODES = 3;
const JSON_TYPE = { 'content-type': 'application/json' };

const parcel = (id: string, metadata: Record<string, number> = {}): SourceDocument => ({
  id,
  contentHash: id,
  documents: [{ text: `parcel ${id}`, metadata }],
});

const running: Served[] = [];

/** `winnow serve` of an index of a cluster, in a process of its own. */
async function serveRemote(index: string, urls: readonly string[]): Promise<Served> {
  const nodes = urls.flatMap((url) => ['--url', url]);
  const child = startCli(
    'serve',
    tempFolder(),
    '--engine',
    'opensearch',
    '--index',
    index,
    ...nodes,
    '--port',
    '0',
  );
  let said = '';
  let complaints = '';
  child.stderr!.on('data', (chunk) => {
    complaints += chunk;
  });
  await new Promise<void>((resolve, reject) => {
    child.stdout!.on('data', (chunk) => {
      said += chunk;
      if (said.includes('winnow is listening on')) resolve();
    });
    child.once('exit', (code) => reject(new Error(`serve ended: ${code} ${complaints}`)));
  });
  const served = { child, port: Number(/:(\d+) \(/.exec(said)![1]), complaints: () => complaints };
  running.push(served);
  return served;
}

const readiness = async ({ port }: Served): Promise<number> =>
  (await ask(port, { method: 'GET', path: '/readyz' })).status;

async function untilReadiness(served: Served, status: number): Promise<void> {
  for (let attempt = 0; (await readiness(served)) !== status; attempt++) {
    assert.ok(attempt < 60, `/readyz does not become ${status}`);
    await sleep(500);
  }
}

runWithCluster(
  'an index of a cluster in use',
  (cluster) => {
    const test = suite('an index of a cluster in use');

    test.after.each(async () => {
      await Promise.all(running.splice(0).map((served) => stop(served, 'SIGTERM')));
    });

    const options = async (more: Partial<OpenSearchOptions> = {}): Promise<OpenSearchOptions> => ({
      url: (await cluster.open()).urls,
      create: true,
      replicas: 0,
      lexicalOnly: true,
      threads: 0,
      ...more,
    });

    test('an alias is moved to an index that was filled beside it, and programs that have it open follow', async () => {
      const name = `docs-${randomUUID()}`;
      const filled = async (suffix: string, more: Partial<OpenSearchOptions> = {}) => {
        const index = await openOpenSearch(`${name}-${suffix}`, await options(more));
        await index.write({ upserts: [parcel(`of-${suffix}`, { year: 2026 })] });
        await index.close();
      };
      const { urls: url } = await cluster.open();
      const move = (suffix: string, more = {}) =>
        moveAlias({ url, alias: name, index: `${name}-${suffix}`, ...more });
      await filled('1');
      assert.equal(await move('1'), { alias: name, index: `${name}-1` });
      const open = await openOpenSearch(name, { url });
      const served = new DeferredBackend(() => openOpenSearch(name, { url }));
      const found = async (backend: Pick<DeferredBackend, 'search'>) =>
        (await backend.search({ query: 'parcel' })).hits.map(({ id }) => id);
      assert.equal([await found(open), await found(served)], [['of-1'], ['of-1']]);
      await filled('2');
      assert.is((await move('2', { deletePrevious: true })).previous, `${name}-1`);
      assert.equal([await found(open), await found(served)], [['of-2'], ['of-2']]);
      assert.match(await codeOf(() => openOpenSearch(`${name}-1`, { url })), /^WINNOW_INDEX_NOT_FOUND/);

      await filled('3', { filterFields: [{ name: 'year', type: 'number' }] });
      assert.match(await codeOf(() => move('3')), /^WINNOW_INDEX_MISMATCH/);
      assert.match(await codeOf(() => move('4')), /^WINNOW_INDEX_NOT_FOUND/);
      assert.match(
        await codeOf(() => moveAlias({ url, alias: `${name}-2`, index: `${name}-3` })),
        /^WINNOW_ALREADY_EXISTS/,
      );
      const { stdout, code } = await cli('alias', name, `${name}-3`, '--url', url[0]!, '--other-settings');
      assert.equal([code, stdout], [0, `${name} stands for ${name}-3, no longer for ${name}-2\n`]);
      assert.match(await codeOf(() => found(open)), /^WINNOW_INDEX_MISMATCH/);
      assert.equal(await found(served), ['of-3']);
      const { hits } = await served.search({ query: 'parcel', filter: { year: { gte: 2000 } } });
      assert.is(hits.length, 1);
      await Promise.all([open.close(), served.close()]);
    });

    test('a collection of a data folder is in the cluster that the server was started with', async () => {
      const { urls: url } = await cluster.open();
      const folder = tempFolder();
      const index = `collection-${randomUUID()}`;
      const collection = {
        name: 'parcels',
        model: null,
        fields: [{ name: 'year', type: 'number' }],
        engine: { kind: 'opensearch', index, shards: 2, replicas: 0 },
      } as const;
      const without = SearchService.openFolder(tempFolder());
      assert.match(await codeOf(() => without.create(collection)), /^WINNOW_BAD_ARGUMENT engine/);
      await without.close();

      const service = SearchService.openFolder(folder, { cluster: { url } });
      const { fields, engine, model } = await service.create(collection);
      assert.equal([fields, engine, model], [collection.fields, { kind: 'opensearch', index }, null]);
      const rows = [{ id: 'a', text: 'a parcel', metadata: { year: 1999 } }];
      for await (const { error } of service.writer('parcels').write(rowsOfList(rows)))
        assert.is(error, undefined);
      await service.health();
      await service.close();

      const again = SearchService.openFolder(folder, { cluster: { url } });
      const filter = { year: { lt: 2000 } };
      const { hits } = await again.search('parcels', { query: 'parcel', filter });
      assert.equal(
        hits.map(({ id }) => id),
        ['a'],
      );
      assert.equal([(await again.list())[0]!.documents, (await again.list())[0]!.fields], [1, fields]);
      await again.close();
    });

    test('copies of a server share everything, say what a stopped node hides, and are not ready without it', async () => {
      const nodes = await cluster.open();
      const name = `served-${randomUUID()}`;
      const index = await openOpenSearch(name, await options({ shards: NODES, retries: 1, timeoutMs: 5000 }));
      const copies = await Promise.all([serveRemote(name, nodes.urls), serveRemote(name, nodes.urls)]);
      const [one, other] = copies as [Served, Served];
      const ids = Array.from({ length: 60 }, (_, i) => `p${i}`);
      const { status } = await ask(one.port, {
        method: 'POST',
        path: '/v1/collections/default/documents',
        headers: { 'content-type': 'application/x-ndjson' },
        body: ids.map((id) => JSON.stringify({ id, text: `parcel ${id}` })).join('\n'),
      });
      assert.is(status, 200);
      const found = async () => {
        const { text } = await ask(other.port, {
          method: 'POST',
          path: '/v1/collections/default/search',
          headers: JSON_TYPE,
          body: JSON.stringify({ query: 'parcel', k: 100 }),
        });
        return JSON.parse(text) as { hits: object[]; complete: boolean; notices?: { code: string }[] };
      };
      const whole = await found();
      assert.equal([whole.hits.length, whole.complete], [ids.length, true]);
      assert.equal([await readiness(one), await readiness(other)], [200, 200]);

      await nodes.command(`stop ${NODES}`);
      await untilReadiness(other, 503);
      const part = await found();
      assert.is(part.complete, false);
      assert.ok(part.notices?.some(({ code }) => code === 'shards-failed'));
      assert.ok(part.hits.length > 0 && part.hits.length < ids.length, `${part.hits.length} hits`);
      assert.match(await codeOf(() => index.stats()), /^WINNOW_UNHEALTHY/);
      assert.match(await codeOf(() => index.contentHashes(ids)), /^WINNOW_CLUSTER/);

      await nodes.command(`start ${NODES}`);
      await untilReadiness(other, 200);
      assert.equal([(await found()).complete, (await index.contentHashes(ids)).size], [true, ids.length]);
      await index.close();
    });

    return test;
  },
  NODES,
);
