import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ingest } from '../../app/ingest.ts';
import { migrate } from '../../app/migrate.ts';
import { Cluster } from '../../backends/opensearch/cluster.ts';
import { clusterDocuments, vectorOf } from '../../backends/opensearch/cluster-document.ts';
import { ClusterIndex } from '../../backends/opensearch/cluster-index.ts';
import { openOpenSearch } from '../../backends/opensearch/open-opensearch.ts';
import type { OpenSearchBackend } from '../../backends/opensearch/opensearch-backend.ts';
import { pluginsOf } from '../../backends/opensearch/server-features.ts';
import { openCorpus } from '../../corpus/open-corpus.ts';
import type { WinnowError } from '../../errors.ts';
import type { IndexableSource } from '../../indexer/types.ts';
import { packageRoot } from '../../package-root.ts';
import type { SearchBackend } from '../../query/backend.ts';
import type { EmbeddedBackend } from '../../query/embedded/embedded-backend.ts';
import { openEmbedded } from '../../query/embedded/open-embedded.ts';
import { MODES, type SearchRequest } from '../../query/request.ts';
import type { SearchResponse } from '../../query/response.ts';
import { SETTINGS, source } from '../helpers/documents.ts';
import { tempFolder } from '../helpers/temp-folder.ts';
import { codeOf } from '../helpers/thrown.ts';
import { runWithCluster } from './suite.ts';

const QUERIES = [
  'what makes us forget',
  'kidney stones and gout',
  'marrying several wives',
  'why do cells divide',
  'supply and demand of labour',
  '"natural selection" species',
  'cells -plants -"red blood cells"',
];

const INGEST = {
  batchSize: 100,
  passages: true,
  deleteMissing: false,
  onBadRow: (error: Error) => {
    throw error;
  },
  onProgress: () => {},
  stopped: () => false,
};

/** The cluster computes in f32, the embedded backend in whole numbers (sparse) and f64 (bm25). */
const TOLERANCE = 1e-5;

runWithCluster('parity of OpenSearch with the embedded backend', (cluster) => {
  const test = suite<{ embedded: EmbeddedBackend; remote: OpenSearchBackend }>('parity of OpenSearch');

  test.before(async (context) => {
    context.embedded = openEmbedded(tempFolder(), { create: true, threads: 0 });
    context.remote = await openOpenSearch(`parity-${randomUUID()}`, {
      url: (await cluster.open()).urls,
      create: true,
      replicas: 0,
      shards: 3,
      threads: 0,
    });
    for (const backend of [context.embedded, context.remote])
      await ingest(await openCorpus(join(packageRoot, 'demo/corpus.jsonl'), {}), backend, INGEST);
  });
  test.after(async ({ embedded, remote }) => {
    // Undefined where no cluster could be started.
    await embedded?.close();
    await remote?.close();
  });

  const both = async (
    { embedded, remote }: { embedded: SearchBackend; remote: SearchBackend },
    request: SearchRequest,
  ) => [await embedded.search(request), await remote.search(request)] as const;

  const closeScores = (a: SearchResponse, b: SearchResponse): void => {
    assert.equal(
      b.hits.map(({ id }) => id),
      a.hits.map(({ id }) => id),
    );
    a.hits.forEach(({ score }, i) => {
      const other = b.hits[i]!.score;
      assert.ok(Math.abs(score - other) <= TOLERANCE * Math.max(1, score), `${score} and ${other}`);
    });
  };

  test('both find the same documents with the same scores, snippets and explanations', async (backends) => {
    for (const mode of MODES)
      for (const query of QUERIES) {
        const [a, b] = await both(backends, { query, mode, k: 20, explain: true });
        closeScores(a, b);
        assert.equal(
          b.hits.map(({ snippet, addedWords, explanation }) => [snippet, addedWords, explanation]),
          a.hits.map(({ snippet, addedWords, explanation }) => [snippet, addedWords, explanation]),
        );
        assert.equal([b.mode, b.complete, b.notices], [a.mode, a.complete, a.notices]);
      }
  });

  test('both rerank alike', async (backends) => {
    const [a, b] = await both(backends, { query: 'what makes us forget', rerank: 'cross', k: 5 });
    assert.is(b.reranked, a.reranked);
    assert.equal(
      b.hits.map(({ id }) => id),
      a.hits.map(({ id }) => id),
    );
  });

  test('explanations agree, by tokens, and by words where the script is not known', async (backends) => {
    for (const query of ['kidney stones and gout', 'kidney "uric acid"'])
      for (const document of ['biology-101', 'sociology-009']) {
        const [a, b] = await Promise.all([
          backends.embedded.explain({ query, document }),
          backends.remote.explain({ query, document }),
        ]);
        assert.equal([b.tokens, b.conditions, b.rank], [a.tokens, a.conditions, a.rank]);
      }
    const text = 'Ψυχή καὶ σῶμα';
    for (const backend of [backends.embedded, backends.remote])
      await backend.write({ upserts: [{ id: 'greek', contentHash: 'g', documents: [{ text }] }] });
    const request = { query: 'ψυχή σῶμα', document: 'greek' };
    const [a, b] = [await backends.embedded.explain(request), await backends.remote.explain(request)];
    assert.equal([b.rank, b.notices], [a.rank, a.notices]);
    assert.ok(Math.abs(a.score - b.score) < TOLERANCE * a.score, `${a.score} and ${b.score}`);
    assert.equal(
      b.words?.map(({ word, frequency }) => [word, frequency]),
      a.words?.map(({ word, frequency }) => [word, frequency]),
    );
  });

  test('a query of more tokens than the cluster takes clauses is found by the heaviest and scored by all', async (backends) => {
    const words = new Set<string>();
    for await (const id of backends.remote.sourceIds()) {
      const record = await backends.embedded.get(id);
      for (const word of record?.text.toLowerCase().match(/[a-z]{3,7}/g) ?? []) words.add(word);
      if (words.size > 3000) break;
    }
    const query = [...words].join(' ').slice(0, 10_000);
    assert.ok(backends.remote.searchSize(query).queryTokens > 1024);
    const [a, b] = await both(backends, { query, mode: 'sparse', k: 10 });
    closeScores(a, b);
    assert.ok(b.notices?.some(({ code }) => code === 'heaviest-first'));
  });

  test('an index migrates to a cluster and back, equal in counts, scores and content hashes', async ({
    embedded,
  }) => {
    const { urls: url } = await cluster.open();
    const options = { create: true, replicas: 0, threads: 0 };
    const remote = await openOpenSearch(`migrated-${randomUUID()}`, { url, ...options });
    const back = openEmbedded(tempFolder(), { create: true, threads: 0 });
    const there = {
      backend: remote,
      sources: () => remote.encodedSources(),
      put: (sources: readonly IndexableSource[]) => remote.putEncoded(sources),
    };
    const { documents } = await embedded.health();
    const first = await embedded.raw.reading(({ sources }) => migrate({ backend: embedded, sources }, there));
    const second = await migrate(there, { backend: back, put: (sources) => back.raw.write(sources) });
    for (const report of [first, second]) {
      assert.equal([report.written, report.unchanged], [documents, 0]);
      assert.equal(report.documents, { source: documents, target: documents });
      assert.ok(report.compared > 20);
      assert.equal(report.different, []);
    }
    const ids = [...back.sourceIds()];
    assert.equal(
      new Map([...back.contentHashes(ids)].sort()),
      new Map([...embedded.contentHashes(ids)].sort()),
    );
    const again = await migrate(there, { backend: back, put: (sources) => back.raw.write(sources) });
    assert.equal([again.written, again.unchanged], [0, documents]);
    await Promise.all([remote.close(), back.close()]);
  });

  test('a source that lost a passage migrates as it is, and is indexed again by the next run', async () => {
    const { urls: url } = await cluster.open();
    const lexical = { create: true, lexicalOnly: true } as const;
    const whole = {
      id: 'guide',
      contentHash: 'whole',
      documents: [{ text: 'volcanoes erupt' }, { text: 'the harbour lies below' }],
    };
    const here = openEmbedded(tempFolder(), lexical);
    const back = openEmbedded(tempFolder(), lexical);
    const remote = await openOpenSearch(`lost-${randomUUID()}`, { url, replicas: 0, ...lexical });
    await here.write({
      upserts: [whole, { id: 'other', contentHash: 'o', documents: [{ text: 'another' }] }],
    });
    await here.write({ deletes: [{ id: 'guide', passage: 0 }] });
    const there = {
      backend: remote,
      sources: () => remote.encodedSources(),
      put: (sources: readonly IndexableSource[]) => remote.putEncoded(sources),
    };
    const reports = [
      await here.raw.reading(({ sources }) => migrate({ backend: here, sources }, there)),
      await migrate(there, { backend: back, put: (sources) => back.raw.write(sources) }),
    ];
    for (const { documents, different } of reports)
      assert.equal([documents, different], [{ source: 2, target: 2 }, []]);
    for (const backend of [remote, back]) {
      assert.is((await backend.get({ id: 'guide', passage: 1 }))?.text, whole.documents[1]!.text);
      assert.is(await backend.get({ id: 'guide', passage: 0 }), undefined);
      const hashes = await backend.contentHashes(['guide', 'other']);
      assert.equal([hashes.get('guide') === 'whole', hashes.get('other')], [false, 'o']);
      await backend.write({ upserts: [whole] });
      assert.is((await backend.get({ id: 'guide', passage: 0 }))?.text, whole.documents[0]!.text);
    }
    await Promise.all([here.close(), back.close(), remote.close()]);
  });

  test('a search in two phases finds nearly what the exact one finds, with the same scores', async ({
    embedded,
    remote,
  }) => {
    const options = { url: (await cluster.open()).urls, threads: 0 };
    const fast = await openOpenSearch(remote.indexName, { ...options, twoPhase: 0.4 });
    let found = 0;
    let wanted = 0;
    for (const query of QUERIES.slice(0, 5)) {
      const exact = new Map(embedded.rank(query, 'sparse', 100).map(({ id, score }) => [id, score]));
      const hits = await fast.rank(query, 'sparse', 10, { rerank: false });
      const best = [...exact.keys()].slice(0, 10);
      wanted += best.length;
      found += hits.filter(({ id }) => best.includes(id)).length;
      for (const { id, score } of hits) {
        const other = exact.get(id);
        if (other !== undefined)
          assert.ok(Math.abs(other - score) <= TOLERANCE * other, `${id}: ${score}, ${other}`);
      }
    }
    assert.ok(found >= 0.9 * wanted, `${found} of ${wanted}`);
    await fast.close();
  });

  test('a document that the cluster refuses is reported with its line, and the others are stored', async () => {
    const { urls: url } = await cluster.open();
    const filterFields = [{ name: 'lang', type: 'string' }] as const;
    const backend = await openOpenSearch(`refused-${randomUUID()}`, {
      url,
      create: true,
      replicas: 0,
      lexicalOnly: true,
      filterFields,
    });
    const file = join(tempFolder(), 'rows.jsonl');
    // Longer than a term of Lucene may be.
    const langs = ['en', 'x'.repeat(40_000), 'de'];
    writeFileSync(
      file,
      langs.map((lang, i) => JSON.stringify({ id: `r${i}`, text: 'a row', lang })).join('\n'),
    );
    const errors: string[] = [];
    const onBadRow = ({ code, place, message }: WinnowError) => {
      errors.push(`${code} ${place} ${message}`);
    };
    const report = await ingest(await openCorpus(file, {}), backend, { ...INGEST, onBadRow });
    assert.equal([report.added, report.badRows, errors.length], [2, 1, 1]);
    assert.match(errors[0]!, /^WINNOW_BAD_ROW .*rows\.jsonl:2.* the cluster refused it: 400/);
    assert.equal([...(await backend.contentHashes(['r0', 'r1', 'r2'])).keys()].sort(), ['r0', 'r2']);
    await backend.close();
  });

  test('a vector reads back equal in the form that the server has for it', async () => {
    const connection = await Cluster.connect({ url: (await cluster.open()).urls });
    const settings = { ...SETTINGS, vectorSize: 4 };
    const index = await ClusterIndex.open(connection, `vector-${randomUUID()}`, {
      settings,
      shards: { replicas: 0 },
    });
    const hasKnn = (await pluginsOf(connection)).has('k-NN');
    assert.is(index.forms.vector, hasKnn ? 'knn_vector' : 'binary');
    const dense = { scale: Math.fround(0.013), values: Int8Array.of(-128, 0, 5, 127) };
    const one = source('a', new Map([[7, 200]]));
    const documents = one.documents.map((document) => ({ ...document, dense }));
    await index.bulk(clusterDocuments({ ...one, documents }, settings, index.forms).map((put) => ({ put })));
    await index.refresh();
    const { hits } = await index.search({ query: { match_all: {} } });
    assert.equal(vectorOf(hits.hits[0]!._source!), dense);
    await connection.close();
  });

  test('another model is refused, and an index that is not there', async () => {
    const { urls: url } = await cluster.open();
    const lexical = `lexical-${randomUUID()}`;
    const made = await openOpenSearch(lexical, { url, create: true, replicas: 0, lexicalOnly: true });
    await made.close();
    const fields = [{ name: 'year', type: 'number' }] as const;
    assert.match(
      await codeOf(() => openOpenSearch(lexical, { url, filterFields: fields })),
      /^WINNOW_INDEX_MISMATCH/,
    );
    assert.match(await codeOf(() => openOpenSearch('none', { url })), /^WINNOW_INDEX_NOT_FOUND/);
    assert.match(
      await codeOf(() => openOpenSearch('any', { url: 'http://127.0.0.1:9', retries: 0 })),
      /^WINNOW_CLUSTER/,
    );
  });

  return test;
});
