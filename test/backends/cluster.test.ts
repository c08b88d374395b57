import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Cluster, type ClusterOptions, pauseMs } from '../../backends/opensearch/cluster.ts';
import { ClusterIndex } from '../../backends/opensearch/cluster-index.ts';
import { indexBody } from '../../backends/opensearch/mapping.ts';
import { SETTINGS } from '../helpers/documents.ts';
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
