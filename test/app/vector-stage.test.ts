import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openIndex } from '../../app/search-index.ts';
import { cosineWith, quantizeVector } from '../../encoder/dense-vector.ts';
import { createDocumentEncoder } from '../../encoder/document-encoder.ts';
import { openModel } from '../../encoder/model.ts';
import { createServer } from '../../server/server.ts';
import { cli } from '../helpers/cli.ts';
import { crossEncoderFolder } from '../helpers/cross-encoder-folder.ts';
import { tempFolder } from '../helpers/temp-folder.ts';
import { codeOf } from '../helpers/thrown.ts';
import { twoOutputFolder, VECTOR_SIZE } from '../helpers/two-output-folder.ts';

const test = suite('reranking by vectors');
const relevance = { slope: 3, offset: -1 };
const model = twoOutputFolder(4, { mix: 1, depth: 30, relevance });
const reranker = crossEncoderFolder(11, { mix: 1, depth: 5 });
const documents = Array.from({ length: 40 }, (_, i) => ({
  id: `d${String(i).padStart(2, '0')}`,
  title: i % 3 ? '' : `Part ${i}`,
  text: `blue ${['sky', 'sea', 'car', 'bread'][i % 4]} number ${i} ${'and more '.repeat(i % 7)}`,
  metadata: { year: 2000 + (i % 5) },
}));
const filterFields = [{ name: 'year', type: 'number' as const }];
const folder = tempFolder();

test.before(async () => {
  const index = openIndex(folder, { create: true, model, filterFields, threads: 0 });
  await index.add(documents);
  await index.close();
});

test('the order is that of the cosines which the encoder gives, in every mode, with filters and over pages', async () => {
  const encoder = await createDocumentEncoder(openModel(model), { threads: 0 });
  const encoded = await encoder.encode(
    documents.map(({ title, text }) => (title ? `${title} ${text}` : text)),
  );
  const query = await encoder.encodeQuery!('blue sky');
  const cosines = new Map(documents.map(({ id }, i) => [id, cosineWith(query, encoded[i]!.dense!)]));
  await encoder.close();
  const index = openIndex(folder, { model, readOnly: true, threads: 0 });
  // The cross-encoder is the bundled one.
  assert.equal(index.backend.capabilities.rerank, ['vector', 'cross']);
  for (const mode of ['sparse', 'bm25', 'hybrid'] as const) {
    for (const filter of [undefined, { year: { gte: 2002 } }]) {
      const options = { mode, ...(filter ? { filter } : {}), rerank: 'vector', explain: true } as const;
      const { hits, reranked } = await index.search('blue sky', { ...options, k: 40 });
      const plain = index.search('blue sky', { mode, k: 40, ...(filter ? { filter } : {}) }).hits;
      assert.is(reranked, Math.min(30, plain.length));
      assert.equal(hits.map(({ id }) => id).sort(), plain.map(({ id }) => id).sort());
      hits.slice(0, reranked).forEach((hit, i) => {
        assert.is(hit.stages!.vector, cosines.get(hit.id));
        assert.is(hit.stages!.retrieval, plain.find(({ id }) => id === hit.id)!.score);
        assert.ok(Math.abs(hit.relevance! - 1 / (1 + Math.exp(-(3 * hit.stages!.vector! - 1)))) < 1e-12);
        if (i > 0) assert.ok(hit.stages!.vector! <= hits[i - 1]!.stages!.vector!);
      });
      const pages = [];
      for (let offset = 0; offset < 40; offset += 7)
        pages.push(...(await index.search('blue sky', { ...options, k: 7, offset })).hits);
      assert.equal(pages, hits);
    }
  }
  await index.close();
});

test('rerank true is vectors first, then the cross-encoder on the best of them', async () => {
  const index = openIndex(folder, { model, reranker, readOnly: true, threads: 0 });
  assert.equal(index.backend.capabilities.rerank, ['vector', 'cross']);
  await index.backend.warmUp();
  const byVector = (await index.search('blue sky', { rerank: 'vector', k: 40 })).hits;
  const { hits, reranked } = await index.search('blue sky', { rerank: true, k: 40, explain: true });
  assert.is(reranked, 5);
  const ids = (list: readonly { id: string }[]) => list.map(({ id }) => id);
  assert.equal(ids(hits.slice(0, 5)).sort(), ids(byVector.slice(0, 5)).sort());
  assert.equal(ids(hits.slice(5)), ids(byVector.slice(5)));
  for (const [i, { stages, score }] of hits.entries()) {
    assert.is(stages?.cross !== undefined, i < 5);
    assert.is(stages?.vector !== undefined, i < 30);
    assert.is(score === 0, i >= 5);
  }
  await index.close();
});

test('HTTP and the command line give the same', async () => {
  const index = openIndex(folder, { model, readOnly: true, threads: 0 });
  const { hits } = await index.search('blue sea', { rerank: 'vector', explain: true });
  const app = await createServer(index.backend);
  const payload = { query: 'blue sea', rerank: 'vector', explain: true };
  const answer = await app.inject({ method: 'POST', url: '/search', payload });
  assert.equal(answer.json().hits, hits);
  await app.close();
  await index.close();
  const { stdout } = await cli(
    'search',
    'blue sea',
    '--index',
    folder,
    '--model',
    model,
    '--rerank',
    'vector',
    '--json',
  );
  const ids = (list: { id: string }[]) => list.map(({ id }) => id);
  assert.equal(ids(JSON.parse(stdout).hits), ids([...hits]));
  const stats = JSON.parse((await cli('stats', '--index', folder, '--json')).stdout);
  assert.equal([stats.withVectors, stats.settings.vectorSize], [40, VECTOR_SIZE]);
});

test('an index without vectors says so, and indexing again adds them without touching anything else', async () => {
  const own = tempFolder();
  const input = join(tempFolder(), 'documents.jsonl');
  writeFileSync(input, documents.map((document) => `${JSON.stringify(document)}\n`).join(''));
  const index = ['index', input, '--index', own, '--model', model];
  assert.match((await cli(...index, '--no-vectors')).stdout, '40 added');
  const without = openIndex(own, { model, readOnly: true });
  assert.is(await codeOf(() => without.search('blue', { rerank: 'vector' })), 'WINNOW_NO_VECTORS rerank');
  const before = without.search('blue sky', { k: 40 }).hits;
  await without.close();
  assert.match((await cli(...index, '--no-vectors')).stdout, '0 added, 0 replaced, 40 unchanged');
  assert.match((await cli(...index)).stdout, '0 added, 40 replaced, 0 unchanged');
  assert.match((await cli(...index)).stdout, '0 added, 0 replaced, 40 unchanged');
  const filled = openIndex(own, { model, readOnly: true, threads: 0 });
  assert.equal(filled.search('blue sky', { k: 40 }).hits, before);
  assert.is((await filled.search('blue sky', { rerank: 'vector' })).reranked, 30);
  await filled.close();
});

test('documents without a vector keep the middle, and none is lost', async () => {
  const own = tempFolder();
  const first = openIndex(own, { create: true, model, vectors: false, threads: 0 });
  await first.add(documents.slice(0, 20));
  await first.close();
  const index = openIndex(own, { create: true, model, threads: 0 });
  await index.add(documents.slice(20));
  const { hits } = await index.search('blue sky', { rerank: 'vector', k: 40, explain: true });
  assert.is(hits.length, 40);
  const judged = hits.filter(({ stages }) => stages?.vector !== undefined);
  assert.ok(judged.length > 0 && judged.length <= 20);
  assert.ok(judged.every(({ relevance }) => relevance !== undefined));
  await index.close();
});

test('a table of token vectors makes the stage part of every sparse search, at once and without a model', async () => {
  const withTable = twoOutputFolder(4, { query: 'tokens', mix: 1, depth: 30, relevance });
  const own = tempFolder();
  const index = openIndex(own, { create: true, model: withTable, threads: 0 });
  await index.add(documents);
  const plain = index.search('blue sky', { rerank: false, k: 40 }).hits;
  const { hits } = index.search('blue sky', { k: 40, explain: true });
  const table = openModel(withTable).readTokenVectors!();
  const { termIds, weights } = openModel(withTable).query.encode('blue sky');
  assert.is(quantizeVector(table.queryVector(termIds, weights))!.values.length, VECTOR_SIZE);
  const order = (list: typeof hits) => list.map(({ id }) => id);
  assert.not.equal(order(hits), order(plain));
  assert.equal(order(hits).sort(), order(plain).sort());
  hits.slice(1, 30).forEach(({ stages }, i) => {
    assert.ok(stages!.vector! <= hits[i]!.stages!.vector!);
  });
  assert.equal((await index.search('blue sky', { rerank: 'vector', k: 40, explain: true })).hits, hits);
  assert.equal(index.search('blue sky', { mode: 'bm25', k: 40 }).hits[0]!.relevance, undefined);
  await index.close();
});

test('closing an index ends a reranked search with its own error', async () => {
  const index = openIndex(folder, { model, reranker, readOnly: true, threads: 1 });
  const answer = codeOf(() => index.search('blue sky', { rerank: true }));
  await index.close();
  assert.match(await answer, 'WINNOW_INDEX_CLOSED');
});

test('an explanation counts the tokens that a document lacks beyond those that it lists', async () => {
  const index = openIndex(folder, { model, readOnly: true, threads: 0 });
  const { vocabulary } = index.backend.raw;
  const long = vocabulary
    .slice(Math.floor(vocabulary.length / 2))
    .slice(0, 600)
    .join(' ');
  const { tokens, omittedTokens = 0 } = index.explain(long, documents[0]!.id);
  assert.ok(omittedTokens > 0);
  assert.is(tokens.filter(({ origin }) => origin === 'missing').length, 32);
  await index.close();
});

test.run();
