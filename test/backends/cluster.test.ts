import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Cluster, type ClusterOptions, pauseMs } from '../../backends/opensearch/cluster.ts';
import { ClusterIndex } from '../../backends/opensearch/cluster-index.ts';
import { indexBody } from '../../backends/opensearch/mapping.ts';
import { openOpenSearch } from '../../backends/opensearch/open-opensearch.ts';
import { SETTINGS } from '../helpers/documents.ts';
import { tempFolder } from '../helpers/temp-folder.ts';
import { codeOf } from '../helpers/thrown.ts';

const test = suite('connection to a cluster');

/** One request as the server got it. */
interface Received {
  readonly path: string;
  readonly authorization: string | undefined;
  readonly body: string;
}

type Answer = readonly [status: number, body: object];

/** A server on loopback that answers as told, and the requests that it got. */
async function withServer(
  answer: (request: Received, number: number) => Answer,
  use: (options: ClusterOptions, received: readonly Received[]) => Promise<void>,
): Promise<void> {
  const received: Received[] = [];
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const bytes = Buffer.concat(chunks);
      const body = request.headers['content-encoding'] === 'gzip' ? gunzipSync(bytes) : bytes;
      const one = { path: request.url!, authorization: request.headers.authorization, body: String(body) };
      received.push(one);
      const [status, json] = answer(one, received.length);
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(json));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    await use({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }, received);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

async function withCluster(options: ClusterOptions, use: (cluster: Cluster) => Promise<void>): Promise<void> {
  const cluster = await Cluster.connect(options);
  try {
    await use(cluster);
  } finally {
    await cluster.close();
  }
}

test('pauses grow, are bounded, and half of them is random', () => {
  for (let attempt = 0; attempt < 20; attempt++) {
    const longest = Math.min(10_000, 100 * 2 ** attempt);
    assert.is(pauseMs(attempt, 0), longest / 2);
    assert.is(pauseMs(attempt, 1), longest);
  }
});

test('what a busy cluster refuses is repeated; what it rejects is an error with its reason', () =>
  withServer(
    ({ path }, number) =>
      path === '/busy' && number < 3
        ? [429, { error: { reason: 'queue is full' } }]
        : path === '/wrong'
          ? [400, { error: { reason: 'outer', root_cause: [{ reason: 'no such field' }] } }]
          : [200, { ok: true }],
    (options, received) =>
      withCluster(options, async (cluster) => {
        assert.equal((await cluster.request({ method: 'GET', path: '/busy' })).body, { ok: true });
        assert.is(received.length, 3);
        let message = '';
        await cluster.request({ method: 'GET', path: '/wrong' }).catch((error) => {
          message = `${error.code} ${error.message}`;
        });
        assert.is(message, 'WINNOW_CLUSTER GET /wrong: 400 no such field');
        assert.is(received.length, 4);
      }),
  ));

test('users and API keys are sent, and refused in addresses, where logs would show them', () =>
  withServer(
    () => [200, {}],
    async (options, received) => {
      await withCluster({ ...options, username: 'ann', password: 'secret' }, async (cluster) => {
        await cluster.request({ method: 'GET', path: '/' });
      });
      await withCluster({ ...options, apiKey: 'key' }, async (cluster) => {
        await cluster.request({ method: 'GET', path: '/' });
      });
      const basic = `Basic ${Buffer.from('ann:secret').toString('base64')}`;
      assert.equal(
        received.map(({ authorization }) => authorization),
        [basic, 'ApiKey key'],
      );
      for (const url of ['http://ann:secret@localhost', 'localhost:9200', 'ftp://localhost'])
        assert.is(await codeOf(() => Cluster.connect({ url })), 'WINNOW_BAD_ARGUMENT url');
    },
  ));

test('of a bulk request only the documents that were refused as busy are repeated', () =>
  withServer(
    ({ path }, number) => {
      if (path === '/') return [200, { version: { number: '3.1.0', distribution: 'opensearch' } }];
      const { mappings } = indexBody(SETTINGS, {}) as { mappings: object };
      if (path.endsWith('/_mapping')) return [200, { docs: { mappings } }];
      const status = number <= 3 ? 429 : 201;
      const item = (_id: string, code: number) => ({ index: { _id, status: code } });
      return [200, { errors: status === 429, items: [item('a', 201), item('b', status)] }];
    },
    (options, received) =>
      withCluster(options, async (cluster) => {
        const index = await ClusterIndex.open(cluster, 'docs', undefined);
        assert.equal(index.settings, SETTINGS);
        const put = (key: string) => ({ put: { key, routing: key, source: { text: key } } });
        await index.bulk([put('a'), put('b')]);
        const bulks = received.filter(({ path }) => path.endsWith('/_bulk')).map(({ body }) => body);
        assert.is(bulks.length, 2);
        assert.ok(bulks[0]!.includes('"_id":"a"') && !bulks[1]!.includes('"_id":"a"'));
        assert.ok(bulks[1]!.includes('"_id":"b"'));
      }),
  ));

/** Answers as a server of a version whose nodes have these plugins, to Winnow's own requests for an index that it does not have yet. */
function serverOf(number: string, nodes: readonly (readonly string[])[], answer: object = {}) {
  let made: object | undefined;
  return ({ path, body }: Received): Answer => {
    if (path === '/') return [200, { version: { number, distribution: 'opensearch' } }];
    if (path.startsWith('/_nodes/plugins'))
      return [
        200,
        {
          nodes: Object.fromEntries(
            nodes.map((names, i) => [i, { plugins: names.map((name) => ({ name })) }]),
          ),
        },
      ];
    if (path.endsWith('/_mapping')) return made ? [200, { 'docs-1': made }] : [404, {}];
    if (path.includes('/_search')) return [200, answer];
    made = JSON.parse(body) as object;
    return [200, {}];
  };
}

const FOUND = {
  timed_out: false,
  _shards: { total: 2, successful: 2, failed: 0 },
  hits: { total: { value: 0 }, hits: [] },
  aggregations: { text: { doc_count: 0 } },
};

test('approximate search is refused where the server cannot do it, and else finds by sparse_vector and scores exactly', async () => {
  const open = (options: ClusterOptions) =>
    openOpenSearch('docs', { ...options, create: true, approximate: true, threads: 0 });
  const plugins = ['opensearch-knn', 'opensearch-neural-search'];
  for (const [number, nodes] of [
    ['2.19.1', [plugins]],
    ['3.2.0', [plugins]],
    ['3.3.0', [['opensearch-knn']]],
    ['3.3.0', [plugins, ['opensearch-knn']]],
    ['3.3.0', []],
  ] as const)
    await withServer(serverOf(number, nodes), async (options) => {
      assert.match(await codeOf(() => open(options)), /^WINNOW_UNSUPPORTED/);
    });
  await withServer(serverOf('3.3.0', [plugins, plugins], FOUND), async (options, received) => {
    const backend = await open(options);
    const made = JSON.parse(received.find(({ path }) => path === '/docs')!.body);
    assert.is(made.settings.sparse, true);
    assert.is(made.mappings.properties.approximate.type, 'sparse_vector');
    const searched = async (scan: 'auto' | 'exact') => {
      await backend.search({ query: 'kidney stones', scan, rerank: false });
      return JSON.parse(received.at(-1)!.body);
    };
    const { query, rescore } = await searched('auto');
    const { query_tokens: tokens, method_parameters: parameters } = query.neural_sparse.approximate;
    assert.ok(Object.keys(tokens).length >= 2 && Object.keys(tokens).every((name) => /^\d+$/.test(name)));
    assert.is(parameters.k, 10);
    assert.equal([rescore[0].query.query_weight, rescore[0].query.rescore_query_weight], [0, 1]);
    assert.is(rescore[0].query.rescore_query.bool.should.length, Object.keys(tokens).length);
    assert.ok((await searched('exact')).query.bool);
    await backend.close();
  });
});

test('answers that lack shards, or that ran out of time, say that they are not complete', async () => {
  const cases = [
    [FOUND, true],
    [{ ...FOUND, timed_out: true }, false],
    [{ ...FOUND, _shards: { total: 2, successful: 1, failed: 1 } }, false],
    // As for a shard of which no copy is there.
    [{ ...FOUND, _shards: { total: 2, successful: 1, failed: 0 } }, false],
  ] as const;
  for (const [answer, complete] of cases)
    await withServer(serverOf('2.19.1', [], answer), async (options) => {
      const backend = await openOpenSearch('docs', { ...options, create: true, lexicalOnly: true });
      const found = await backend.search({ query: 'kidney stones' });
      const isPartial = answer._shards.successful < 2;
      assert.equal(
        [found.complete, found.notices?.[0]?.code],
        [complete, isPartial ? 'shards-failed' : undefined],
      );
      // What must not be wrong fails instead.
      if (!complete) assert.match(await codeOf(() => backend.contentHashes(['a'])), /^WINNOW_CLUSTER/);
      await backend.close();
    });
});

const hasOpenssl = spawnSync('openssl', ['version']).status === 0;

(hasOpenssl ? test : test.skip)(
  'a server is trusted by the authority that is named, and no other',
  async () => {
    const folder = tempFolder();
    const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
    const request =
      'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=cluster';
    const names = ['-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', cert];
    assert.is(spawnSync('openssl', [...request.split(' '), ...names]).status, 0);
    const server = createTlsServer({ cert: readFileSync(cert), key: readFileSync(key) }, (_, response) =>
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"ok":true}'),
    );
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const ask = (options: Partial<ClusterOptions>) =>
      codeOf(() =>
        withCluster({ url, retries: 0, ...options }, async (cluster) => {
          await cluster.request({ method: 'GET', path: '/' });
        }),
      );
    try {
      assert.match(await ask({}), /^WINNOW_CLUSTER/);
      await withCluster({ url, caFile: cert }, async (cluster) => {
        assert.equal((await cluster.request({ method: 'GET', path: '/' })).body, { ok: true });
      });
      await withCluster({ url, insecure: true }, async (cluster) => {
        assert.equal((await cluster.request({ method: 'GET', path: '/' })).body, { ok: true });
      });
      assert.match(await ask({ caFile: join(folder, 'none.pem') }), /^WINNOW_NOT_FOUND/);
    } finally {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  },
);

test('another server than OpenSearch is refused', () =>
  withServer(
    () => [200, { version: { number: '8.1.0' } }],
    (options) =>
      withCluster(options, async (cluster) => {
        assert.match(
          await codeOf(() => ClusterIndex.open(cluster, 'docs', undefined)),
          /^WINNOW_UNSUPPORTED/,
        );
      }),
  ));

test.run();
