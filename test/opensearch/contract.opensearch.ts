import { randomUUID } from 'node:crypto';
import { openOpenSearch } from '../../backends/opensearch/open-opensearch.ts';
import { CONTRACT_FIELDS, contractSuite } from '../backends/contract.ts';
import { runWithCluster } from './suite.ts';

runWithCluster('the contract on OpenSearch', (cluster) =>
  contractSuite('the OpenSearch backend', async () =>
    openOpenSearch(`contract-${randomUUID()}`, {
      url: (await cluster.open()).urls,
      create: true,
      replicas: 0,
      shards: 2,
      threads: 0,
      filterFields: CONTRACT_FIELDS,
    }),
  ),
);
