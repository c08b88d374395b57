import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openIndex } from '../../app/search-index.ts';
import { createServer } from '../../server/server.ts';
import { cli } from '../helpers/cli.ts';
import { crossEncoderFolder } from '../helpers/cross-encoder-folder.ts';
import { tempFolder } from '../helpers/temp-folder.ts';
import { codeOf } from '../helpers/thrown.ts';

const test = suite('reranking end to end');
const folder = tempFolder();
const reranker = crossEncoderFolder(11, { mix: 1, depth: 3, relevance: { slope: 2, offset: -1 } });
const documents = ['sky is blue', 'blue sea', 'blue car', 'blue bread', 'red volcano'].map((text, i) => ({
  id: `d${i}`,
  text,
}));

test.before(async () => {
  const index = openIndex(folder, { create: true, lexicalOnly: true });
  await index.add(documents);
  await index.close();
});

test('the library, HTTP and the command line give the same order, relevance and count', async () => {
  const index = openIndex(folder, { readOnly: true, reranker, threads: 0 });
  assert.equal(index.backend.capabilities.rerank, ['cross']);
  await index.backend.warmUp();
  const options = { mode: 'bm25', rerank: true, explain: true } as const;
  const { hits, reranked } = await index.search('blue', options);
  assert.is(reranked, 3);
  const { slope, offset } = { slope: 2, offset: -1 };
  hits.slice(0, 3).forEach(({ relevance, stages }, i) => {
    assert.ok(Math.abs(relevance! - 1 / (1 + Math.exp(-(slope * stages!.cross! + offset)))) < 1e-6);
    if (i > 0) assert.ok(stages!.cross! <= hits[i - 1]!.stages!.cross!);
  });
  assert.equal([hits[3]!.relevance, hits[3]!.score], [undefined, 0]);

  const app = await createServer(index.backend);
  const answer = await app.inject({ method: 'POST', url: '/search', payload: { query: 'blue', ...options } });
  assert.is(answer.statusCode, 200);
  assert.equal(answer.json().hits, hits);
  assert.is(answer.json().reranked, 3);
  await app.close();
  await index.close();

  const rerankOptions = ['--rerank', '--reranker', reranker, '--mode', 'bm25', '--json'];
  const { stdout, code } = await cli('search', 'blue', '--index', folder, ...rerankOptions);
  assert.is(code, 0);
  assert.equal(
    JSON.parse(stdout).hits.map(({ id }: { id: string }) => id),
    hits.map(({ id }) => id),
  );
});

test('what cannot be reranked is refused by name', async () => {
  const index = openIndex(folder, { readOnly: true, reranker: '/nowhere' });
  assert.is(await codeOf(() => index.search('blue', { rerank: true })), 'WINNOW_MODEL_NOT_FOUND reranker');
  assert.is(
    await codeOf(() => index.search('blue', { minRelevance: 0.5 })),
    'WINNOW_BAD_ARGUMENT minRelevance',
  );
  assert.is(await codeOf(() => index.search('blue', { rerankDepth: 5 })), 'WINNOW_BAD_ARGUMENT rerankDepth');
  assert.is(await codeOf(() => index.search('blue', { rerank: 'x' as never })), 'WINNOW_BAD_ARGUMENT rerank');
  assert.is(await codeOf(() => index.search('blue', { rerank: 'vector' })), 'WINNOW_NO_VECTORS rerank');
  const app = await createServer(index.backend);
  const deep = { query: 'blue', rerank: true, rerankDepth: 1000 };
  const answer = await app.inject({ method: 'POST', url: '/search', payload: deep });
  assert.equal([answer.statusCode, answer.json().code], [400, 'WINNOW_TOO_COSTLY']);
  await app.close();
  await index.close();
});

test.run();
