import { setTimeout as sleep } from 'node:timers/promises';
import * as assert from 'uvu/assert';
import { openOpenSearch } from '../../backends/opensearch/open-opensearch.ts';
import type { OpenSearchBackend } from '../../backends/opensearch/opensearch-backend.ts';
import { WinnowError } from '../../errors.ts';
import type { SourceDocument } from '../../indexer/types.ts';
import { randomSource } from '../../random.ts';
import { type NodeCluster, openNodeCluster } from '../opensearch/cluster.ts';

export interface NodeKillsReport {
  readonly documents: number;
  /** Nodes that were ended with SIGKILL and started again. */
  readonly kills: number;
  /** Batches that were acknowledged, and those that failed after all repetitions of the client and were sent again. */
  readonly batches: number;
  readonly batchesSentAgain: number;
  readonly searches: number;
  /** Searches that failed or lacked shards, and were asked again. */
  readonly searchesAskedAgain: number;
  /** Those that failed or lacked shards after {@link ATTEMPTS}. */
  readonly searchesFailed: number;
  /** Searches for an acknowledged document that a complete answer did not have. */
  readonly missed: number;
  readonly slowestSearchMs: number;
  readonly documentsPerSecond: number;
}

const NODES = 3;
const BATCH = 250;
const WRITERS = 2;
const SEARCHERS = 2;
/** So that searches leave something of a small machine to loading. */
const BETWEEN_SEARCHES_MS = 50;
/** How often a caller asks before it counts as failed; the client repeats below that by itself. */
const ATTEMPTS = 5;
/** Of a batch, replacements and deletes of documents that are there. */
const CHANGES = 10;

interface State {
  readonly random: () => number;
  /** Version by id of what is acknowledged; undefined: deleted. */
  readonly acknowledged: Map<string, number | undefined>;
  readonly report: { -readonly [Name in keyof NodeKillsReport]: NodeKillsReport[Name] };
  loading: boolean;
}

/**
 * Loads documents into three nodes, three shards and one replica, while nodes are killed and started again one after another and
 * searches run. Then every document is as it was acknowledged, and no other is there.
 */
export async function killNodes(
  documents: number,
  kills: number,
  seed: number,
  onKill = (_: number) => {},
): Promise<NodeKillsReport> {
  const cluster = await openNodeCluster(NODES);
  try {
    const open = () =>
      openOpenSearch('kills', {
        url: cluster.urls,
        create: true,
        shards: 3,
        replicas: 1,
        lexicalOnly: true,
        timeoutMs: 10_000,
      });
    const index = await open();
    const state = newState(seed, documents);
    const started = performance.now();
    const searching = Array.from({ length: SEARCHERS }, () => search(index, state));
    const killing = kill(cluster, kills, state, onKill);
    const perWriter = Math.ceil(documents / WRITERS);
    await Promise.all(
      Array.from({ length: WRITERS }, async (_, writer) => {
        const own = await open();
        await load(own, `w${writer}`, perWriter, () => state.report.kills < kills, state);
        await own.close();
      }),
    );
    state.report.documentsPerSecond = Math.round(
      (1000 * state.acknowledged.size) / (performance.now() - started),
    );
    await killing;
    state.loading = false;
    await Promise.all(searching);
    await compare(index, state);
    await index.close();
    return state.report;
  } finally {
    await cluster.close();
  }
}

function newState(seed: number, documents: number): State {
  const report = { documents, kills: 0, batches: 0, batchesSentAgain: 0, searches: 0 };
  return {
    random: randomSource(seed),
    acknowledged: new Map(),
    report: {
      ...report,
      searchesAskedAgain: 0,
      searchesFailed: 0,
      missed: 0,
      slowestSearchMs: 0,
      documentsPerSecond: 0,
    },
    loading: true,
  };
}

const versionOf = (id: string, version: number): SourceDocument => ({
  id,
  contentHash: `${id} version ${version}`,
  documents: [{ title: id, text: `A common word, and ${wordOf(id)} in version ${version}.` }],
});

/** A word that only this document has. */
const wordOf = (id: string): string => `only${id}`;

/** Adds documents of its own, changes and deletes some, and goes on changing them while nodes are still to be killed. */
async function load(
  index: OpenSearchBackend,
  writer: string,
  documents: number,
  isUnfinished: () => boolean,
  { random, acknowledged, report }: State,
): Promise<void> {
  let added = 0;
  for (let batch = 0; added < documents || isUnfinished(); batch++) {
    const upserts = new Map<string, SourceDocument>();
    const versions = new Map<string, number | undefined>();
    for (let i = 0; i < BATCH && added < documents; i++, added++) versions.set(`${writer}d${added}`, batch);
    const old = () => `${writer}d${Math.floor(random() * added)}`;
    for (let i = 0; i < CHANGES; i++) versions.set(old(), batch);
    for (const [id, version] of versions) upserts.set(id, versionOf(id, version!));
    const deletes = new Set(Array.from({ length: CHANGES }, old));
    for (const id of deletes) versions.set(id, undefined);
    for (;;) {
      try {
        await index.write({ upserts: [...upserts.values()], deletes: [...deletes] });
        break;
      } catch (error) {
        // Not acknowledged: whoever loads documents sends them again.
        if (!isClusterError(error)) throw error;
        report.batchesSentAgain++;
        await sleep(500);
      }
    }
    report.batches++;
    for (const [id, version] of versions) acknowledged.set(id, version);
  }
}

/** Asks for documents that are acknowledged, and for all, until loading ends. */
async function search(index: OpenSearchBackend, state: State): Promise<void> {
  const { random, acknowledged, report } = state;
  while (state.loading) {
    const ids = acknowledged.size > 0 && random() < 0.5 ? [...acknowledged.keys()] : [];
    const id = ids[Math.floor(random() * ids.length)];
    const before = id === undefined ? undefined : acknowledged.get(id);
    const query = id === undefined ? 'common' : wordOf(id);
    await sleep(BETWEEN_SEARCHES_MS);
    const started = performance.now();
    const found = await asked(index, query, report);
    report.searches++;
    report.slowestSearchMs = Math.max(report.slowestSearchMs, Math.round(performance.now() - started));
    // A document that was deleted or written again meanwhile may be there or not.
    if (!found || id === undefined || before === undefined || acknowledged.get(id) !== before) continue;
    if (!found.includes(id)) report.missed++;
  }
}

async function asked(
  index: OpenSearchBackend,
  query: string,
  report: State['report'],
): Promise<string[] | undefined> {
  for (let attempt = 1; ; attempt++) {
    try {
      const { hits, complete } = await index.search({ query, budgetMs: 10_000 });
      if (complete) return hits.map(({ id }) => id);
    } catch (error) {
      if (!isClusterError(error)) throw error;
    }
    if (attempt === ATTEMPTS) {
      report.searchesFailed++;
      return undefined;
    }
    report.searchesAskedAgain++;
    await sleep(200 * attempt);
  }
}

/** Kills one node after another, each when all shards have their copies again: with one replica, two lost nodes lose documents. */
async function kill(
  cluster: NodeCluster,
  kills: number,
  { random, report }: State,
  onKill: (kills: number) => void,
): Promise<void> {
  while (report.kills < kills) {
    await sleep(1000 + random() * 3000);
    await untilGreen(cluster);
    const node = 1 + (report.kills % NODES);
    await cluster.kill(node);
    await sleep(random() * 3000);
    await cluster.start(node);
    report.kills++;
    onKill(report.kills);
  }
  await untilGreen(cluster);
}

async function untilGreen({ urls }: NodeCluster): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    const answer = await fetch(
      `${urls[attempt % urls.length]}/_cluster/health?wait_for_status=green&wait_for_nodes=${urls.length}&timeout=20s`,
    ).catch(() => undefined);
    if (answer?.status === 200) return;
    assert.ok(attempt < 12, 'the cluster does not become green again');
    await sleep(500);
  }
}

async function compare(index: OpenSearchBackend, { acknowledged }: State): Promise<void> {
  const expected = new Map(
    [...acknowledged].flatMap(([id, version]) =>
      version === undefined ? [] : [[id, versionOf(id, version).contentHash] as const],
    ),
  );
  const found = new Set<string>();
  for await (const id of index.sourceIds()) found.add(id);
  const hashes = await index.contentHashes([...acknowledged.keys()]);
  for (const [id, hash] of expected) assert.is(hashes.get(id), hash, `${id} is not as it was acknowledged`);
  assert.is(hashes.size, expected.size, 'a deleted document is there');
  assert.is(found.size, expected.size, 'the index has other documents');
}

const isClusterError = (error: unknown): boolean =>
  error instanceof WinnowError && error.code === 'WINNOW_CLUSTER';
