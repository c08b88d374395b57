import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { SearchOptions } from '../../query/request.ts';
import { FUSED_DEPTH, type FusedDoc, fuse } from '../../query/retrieve/fusion.ts';
import { Searcher } from '../../query/search/searcher.ts';
import { encoder, indexed } from '../helpers/passages-index.ts';
import { check } from '../helpers/property.ts';

const test = suite('paging');

test('the pages of a query joined are one call, in every mode', async () => {
  await check(
    fc.asyncProperty(
      fc.record({
        seed: fc.nat(1e6),
        mode: fc.constantFrom('sparse' as const, 'bm25' as const, 'hybrid' as const),
        fusion: fc.constantFrom('weighted' as const, 'rrf' as const),
        filter: fc.constantFrom(undefined, { year: { gte: 2 } }),
        groupByParent: fc.boolean(),
        sort: fc.constantFrom(undefined, { field: 'year' }),
        query: fc.constantFrom(
          'apple cloud',
          'eagle -dragon',
          '"apple bridge" forest',
          'cloud -"apple bridge"',
        ),
        size: fc.integer({ min: 3, max: 90 }),
      }),
      async ({ seed, query, size, filter, sort, ...rest }) => {
        const store = indexed(seed, 320);
        const searcher = new Searcher(store, encoder);
        const options: SearchOptions = { ...rest, ...(filter ? { filter } : {}), ...(sort ? { sort } : {}) };
        const page = (offset: number, k: number) =>
          searcher
            .search(query, { ...options, offset, k })
            .hits.map(({ id, passage, score }) => [id, passage, score]);
        const all = page(0, 1000);
        for (const merged of [false, true]) {
          if (merged) store.forceMerge();
          const joined: unknown[] = [];
          for (let offset = 0; offset < all.length + size; offset += size) joined.push(...page(offset, size));
          assert.equal(joined, all);
        }
        await store.close();
      },
    ),
    { numRuns: 40 },
  );
});

test('a fusion of lists cut at any depth begins as that of the whole lists, beyond the fused depth too', async () => {
  const list = (n: number, step: number) => ({
    keys: Array.from({ length: n }, (_, i) => (i * step) % 4999),
    scores: Array.from({ length: n }, (_, i) => 1000 / (1 + i)),
  });
  await check(
    fc.property(
      fc.constantFrom('weighted' as const, 'rrf' as const),
      fc.constantFrom(0, 0.25, 0.8, 1),
      fc.oneof(fc.integer({ min: 1, max: 2 * FUSED_DEPTH }), fc.integer({ min: 1, max: 4500 })),
      fc.integer({ min: 1, max: 4900 }),
      (fusion, weight, depth, step) => {
        const lists = [list(4500, 1), list(3000, step)];
        const keyOf = ({ list, rank }: FusedDoc) => lists[list]!.keys[rank]!;
        const joined = (ofLists: typeof lists, count: number) =>
          fuse(ofLists, [weight, 1 - weight], fusion, count, (a, b) => keyOf(a) < keyOf(b)).map((doc) => ({
            key: keyOf(doc),
            score: doc.score,
          }));
        const listDepth = Math.max(depth, FUSED_DEPTH);
        const whole = joined(lists, 7500);
        const cut = joined(
          lists.map(({ keys, scores }) => ({
            keys: keys.slice(0, listDepth),
            scores: scores.slice(0, listDepth),
          })),
          depth,
        );
        assert.equal(cut, whole.slice(0, depth));
        assert.is(new Set(whole.map(({ key }) => key)).size, whole.length);
      },
    ),
    { numRuns: 20 },
  );
});

test.run();
