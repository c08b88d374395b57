import { join } from 'node:path';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openIndex } from '../../../app/search-index.ts';
import { SPAN_SHARES } from '../../../app/training/ensemble.ts';
import { heldOutCollection } from '../../../app/training/held-out.ts';
import { Labeller } from '../../../app/training/labelling.ts';
import { measure } from '../../../app/training/measure.ts';
import type { LabelledQuery } from '../../../app/training/supervision.ts';
import type { CrossEncoder } from '../../../encoder/rerank/cross-encoder.ts';
import { parseStoredId } from '../../../indexer/format/stored-id.ts';
import { check } from '../../helpers/property.ts';
import { tempFolder } from '../../helpers/temp-folder.ts';
import { trainingTexts } from '../../helpers/training-corpus.ts';
import { twoOutputFolder } from '../../helpers/two-output-folder.ts';

const test = suite('labels and measurements');
const model = twoOutputFolder(1);
const texts = trainingTexts(40);
const index = openIndex(join(tempFolder(), 'index'), { create: true, model, threads: 0 });
// Some are cut into passages.
await index.add(
  texts.map((row, i) => ({ ...row, text: i % 9 === 0 ? `${row.text} `.repeat(60) : row.text })),
);

/** Likes a passage by the number of its id, and remembers what it read. */
const read: string[][] = [];
const numberOf = (id: string): number => Number(parseStoredId(id).id.slice(1));
const judge = {
  async score(_query: string, passages: readonly { readonly key: string }[]) {
    read.push(passages.map(({ key }) => key));
    return Float32Array.from(passages, ({ key }) => numberOf(key));
  },
} as unknown as CrossEncoder;
const labeller = new Labeller(index.backend, judge);

test('candidates come best first, with what is wanted and without what is hidden, and few are reranked', () =>
  check(
    fc.asyncProperty(
      fc.nat(39),
      fc.nat(39),
      fc.nat(39),
      fc.integer({ min: 0, max: 8 }),
      async (asked, hidden, wanted, rerankDepth) => {
        fc.pre(hidden !== wanted);
        read.length = 0;
        const query = texts[asked]!.text.split(' ').slice(0, 4).join(' ');
        const found = await labeller.label(query, {
          shares: SPAN_SHARES,
          depth: 5,
          rerankDepth,
          hidden: `d${hidden}`,
          wanted: [`d${wanted}`],
        });
        const sources = found.map(({ id }) => parseStoredId(id).id);
        assert.ok(sources.includes(`d${wanted}`));
        assert.not(sources.includes(`d${hidden}`));
        assert.is(new Set(found.map(({ id }) => id)).size, found.length);
        for (let i = 1; i < found.length; i++) assert.ok(found[i - 1]!.score >= found[i]!.score);
        assert.ok(found.every(({ score }) => score >= 0 && score <= 1));
        assert.is(read.flat().length, Math.min(rerankDepth, found.length));
        if (rerankDepth > 0) assert.is(parseStoredId(read[0]![0]!).id, `d${wanted}`);
        // Every passage that one of the rankings has first is a candidate.
        for (const mode of ['bm25', 'sparse'] as const)
          for (const { id } of index.backend.rank(query, mode, 5))
            if (parseStoredId(id).id !== `d${hidden}`) assert.ok(found.some((one) => one.id === id));
      },
    ),
    { numRuns: 25 },
  ));

test('the judges have their shares: with the reranker alone its order is the order', async () => {
  const found = await labeller.label('river stone', {
    shares: { bm25: 0, vector: 0, cross: 1 },
    depth: 10,
    rerankDepth: 100,
  });
  const numbers = found.map(({ id }) => numberOf(id));
  assert.equal(
    numbers,
    [...numbers].sort((a, b) => b - a),
  );
});

const labelled = async (): Promise<LabelledQuery[]> => {
  const queries: LabelledQuery[] = [];
  for (let i = 0; i < 12; i++) {
    const query = texts[i]!.title;
    const candidates = await labeller.label(query, { shares: SPAN_SHARES, depth: 6, rerankDepth: 0 });
    queries.push({ query, about: [`d${i}`], candidates });
  }
  return queries;
};

test('a held-out collection has all answers and whole sources, and grows to the size that is wanted', async () => {
  const queries = await labelled();
  const [small, whole] = [
    await heldOutCollection(index.backend, queries, 0, 1),
    await heldOutCollection(index.backend, queries, 10_000, 1),
  ];
  const ids = new Set(small.sources.map(({ id }) => id));
  for (const { grades } of small.queries) for (const id of grades.keys()) assert.ok(ids.has(id));
  assert.is(whole.sources.length, index.stats().sources);
  const passages = whole.sources.reduce((sum, { documents }) => sum + documents.length, 0);
  assert.is(passages, index.stats().documents);
});

test('measuring gives what the index itself answers, whether weights are copied or computed', async () => {
  const collection = await heldOutCollection(index.backend, await labelled(), 10_000, 1);
  const folder = join(tempFolder(), 'measured');
  const stages = ['encoder', 'bm25', 'vector'] as const;
  const computed = await measure(collection, stages, { model, threads: 0 }, folder);
  const copied = await measure(collection, stages, { model, threads: 0, encoded: index.backend }, folder);
  assert.equal(copied, computed);
  for (const [stage, mode] of [
    ['encoder', 'sparse'],
    ['bm25', 'bm25'],
  ] as const)
    for (const { id, query, grades } of collection.queries) {
      const order = [...new Set(index.backend.rank(query, mode, 50).map((hit) => parseStoredId(hit.id).id))];
      const gain = (ids: readonly string[]) =>
        ids.slice(0, 10).reduce((sum, one, i) => sum + (grades.get(one) ?? 0) / Math.log2(i + 2), 0);
      const best = [...grades].sort(([, a], [, b]) => b - a).map(([one]) => one);
      // Ties have any order.
      assert.ok(Math.abs(computed[stage].perQuery.get(id)! - gain(order) / gain(best)) < 0.15);
    }
});

test.after(() => index.close());
test.run();
