import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Searcher } from '../../query/search/searcher.ts';
import { encoder, indexed } from '../helpers/passages-index.ts';
import { check } from '../helpers/property.ts';

const test = suite('total');

test('the total is the number of hits of a search without an end, in every mode, filtered or not', async () => {
  await check(
    fc.asyncProperty(
      fc.record({
        seed: fc.nat(1e6),
        mode: fc.constantFrom('sparse' as const, 'bm25' as const, 'hybrid' as const),
        filter: fc.constantFrom(undefined, { year: { gte: 2 } }, { year: 77 }),
        query: fc.constantFrom('apple cloud', 'eagle -dragon', 'nothing of the kind', '-apple', 'forest'),
        k: fc.integer({ min: 1, max: 20 }),
      }),
      async ({ seed, query, k, mode, filter }) => {
        const store = indexed(seed, 320);
        const searcher = new Searcher(store, encoder);
        store.delete(store.view().segments.flatMap(({ segment }) => [segment.id(0), segment.id(1)]));
        const options = filter ? { mode, filter } : { mode };
        for (const merged of [false, true]) {
          if (merged) store.forceMerge();
          const all = searcher.search(query, { ...options, k: 1000 });
          assert.is(all.total, undefined);
          assert.is(searcher.search(query, { ...options, k, offset: 3, total: true }).total, all.hits.length);
        }
        await store.close();
      },
    ),
    { numRuns: 40 },
  );
});

test('a total that is not known is left out: texts would have to be read, or the time is up', async () => {
  const store = indexed(5, 320);
  const searcher = new Searcher(store, encoder);
  const total = (query: string, options = {}) => searcher.search(query, { ...options, total: true }).total;
  assert.ok(total('apple cloud')! > 10);
  assert.is(total('"apple bridge" forest'), undefined);
  assert.is(total('apple cloud', { budgetMs: 1e-6 }), undefined);
  await store.close();
});

test.run();
