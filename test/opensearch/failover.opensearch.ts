import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openOpenSearch } from '../../backends/opensearch/open-opensearch.ts';
import type { SourceDocument } from '../../indexer/types.ts';
import { say } from '../helpers/say.ts';
import { runWithCluster } from './suite.ts';

const BATCHES = 40;
const BATCH = 250;

runWithCluster(
  'a node that stops',
  (cluster) => {
    const test = suite('a node that stops');

    test('loses no acknowledged document and fails no search', async () => {
      const nodes = await cluster.open();
      const index = await openOpenSearch('failover', {
        url: nodes.urls,
        create: true,
        shards: 3,
        replicas: 1,
        lexicalOnly: true,
        timeoutMs: 5000,
      });
      let searches = 0;
      let incomplete = 0;
      let loading = true;
      const searching = (async () => {
        while (loading) {
          const { complete } = await index.search({ query: 'common' });
          searches++;
          if (!complete) incomplete++;
        }
      })();
      const acknowledged: string[] = [];
      for (let batch = 0; batch < BATCHES; batch++) {
        const stopping =
          batch === 10 ? nodes.command('stop 2') : batch === 25 ? nodes.command('start 2') : undefined;
        const upserts = Array.from({ length: BATCH }, (_, i) => sourceOf(`d${batch * BATCH + i}`));
        await index.write({ upserts });
        acknowledged.push(...upserts.map(({ id }) => id));
        await stopping;
      }
      loading = false;
      await searching;
      const stored = await index.contentHashes(acknowledged);
      assert.is(stored.size, acknowledged.length);
      assert.is((await index.stats()).sources, acknowledged.length);
      say(`${acknowledged.length} documents, ${searches} searches, ${incomplete} of them incomplete`);
      assert.ok(searches > 0);
      await index.close();
    });

    return test;
  },
  3,
);

const sourceOf = (id: string): SourceDocument => ({
  id,
  contentHash: `hash of ${id}`,
  documents: [{ text: `common word and ${id}` }],
});
