import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { defined } from '../../defined.ts';
import { crossStage } from '../../query/rerank/cross-stage.ts';
import type { RerankStage } from '../../query/rerank/stage.ts';
import type { SearchResponse } from '../../query/response.ts';
import { Searcher } from '../../query/search/searcher.ts';
import { encoder, indexed } from '../helpers/passages-index.ts';
import { check } from '../helpers/property.ts';

const test = suite('reranking');

/** Scores that no first ranking has; many of them equal. */
const logitOf = (text: string): number => ((text.length * 7919) % 13) - 6;

/** A reranker that judges texts by {@link logitOf}. @param onGroup called before each group of passages */
function fakeReranker(mix: number, onGroup: () => void | Promise<void> = () => {}): RerankStage[] {
  const reranker = {
    modelName: 'fake',
    settings: { mix, depth: 40, relevance: { slope: 1, offset: 0 } },
    async score(
      _query: string,
      passages: readonly { text: string }[],
      { signal }: { readonly signal?: AbortSignal },
    ) {
      await onGroup();
      signal?.throwIfAborted();
      return Float32Array.from(passages, ({ text }) => logitOf(text));
    },
    async close() {},
  };
  return [crossStage(reranker)];
}

/** A reranker whose first layers know a text's logit without its last digits, and which lets a share of the texts go on. */
function leavingEarly(
  mix: number,
  keep: number,
  onStep: () => void | Promise<void> = () => {},
): RerankStage[] {
  const none = async () => {
    throw new Error('every text goes through two steps');
  };
  return [
    crossStage({
      modelName: 'fake',
      settings: { mix, depth: 40, relevance: { slope: 1, offset: 0 }, earlyExit: { keep } },
      score: none,
      early: {
        async estimate(_query: string, passages: readonly { text: string }[]) {
          await onStep();
          return passages.map(({ text }) => ({ estimate: estimateOf(text), logit: logitOf(text) }));
        },
        async finish(paused) {
          await onStep();
          return Float32Array.from(paused, ({ logit }) => logit);
        },
      },
      async close() {},
    }),
  ];
}

const estimateOf = (text: string): number => 2 * Math.round(logitOf(text) / 2);

const keyOf = ({ id, passage }: SearchResponse['hits'][number]): string => `${id} ${passage}`;

const requests = fc.record({
  seed: fc.nat(1e6),
  mode: fc.constantFrom('sparse' as const, 'bm25' as const, 'hybrid' as const),
  filter: fc.constantFrom(undefined, { year: { gte: 2 } }),
  groupByParent: fc.boolean(),
  query: fc.constantFrom('apple cloud', 'eagle -dragon', '"apple bridge" forest'),
  rerankDepth: fc.constantFrom(undefined, 1, 17, 1000),
  mix: fc.constantFrom(0, 0.3, 1),
});

test('reranking changes the order and nothing else; pages joined are one call', async () => {
  await check(
    fc.asyncProperty(
      requests,
      fc.integer({ min: 3, max: 90 }),
      async ({ seed, query, mix, ...given }, size) => {
        const store = indexed(seed, 200);
        const searcher = new Searcher(store, encoder);
        const options = defined(given);
        const reranker = fakeReranker(mix);
        const page = (offset: number, k: number) =>
          searcher.searchReranked(query, { ...options, offset, k }, reranker);
        const all = (await page(0, 1000)).hits;
        const plain = searcher.search(query, { ...options, groupByParent: false, k: 1000 }).hits;
        if (!options.groupByParent) assert.equal(all.map(keyOf).sort(), plain.map(keyOf).sort());
        const joined = [];
        for (let offset = 0; offset < all.length + size; offset += size)
          joined.push(...(await page(offset, size)).hits);
        assert.equal(joined, all);
        all.forEach(({ score, relevance }, i) => {
          assert.ok(score >= 0 && score <= 1 && (i === 0 || score <= all[i - 1]!.score));
          assert.is(relevance === undefined, score === 0);
        });
        await store.close();
      },
    ),
    { numRuns: 40 },
  );
});

test('the order is that of the mixture of both scores, and documents beyond the depth follow in theirs', async () => {
  await check(
    fc.asyncProperty(requests, async ({ seed, query, mix, ...given }) => {
      const store = indexed(seed, 200);
      const searcher = new Searcher(store, encoder);
      const options = { ...defined(given), groupByParent: false, k: 1000 };
      const plain = searcher.search(query, options).hits;
      const { hits, reranked } = await searcher.searchReranked(
        query,
        { ...options, explain: true },
        fakeReranker(mix),
      );
      const depth = Math.min(options.rerankDepth ?? 40, plain.length);
      assert.is(reranked, depth);
      assert.equal(hits.slice(depth).map(keyOf), plain.slice(depth).map(keyOf));
      const z = (values: readonly number[]) => {
        const mean = values.reduce((a, b) => a + b, 0) / values.length;
        const deviation = Math.sqrt(values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length);
        return values.map((value) => (deviation > 0 ? (value - mean) / deviation : 0));
      };
      const first = plain.slice(0, depth);
      const byKey = new Map(hits.map((hit) => [keyOf(hit), hit]));
      const logits = first.map((hit) => byKey.get(keyOf(hit))!.stages!.cross!);
      const [a, b] = [z(first.map(({ score }) => score)), z(logits)];
      first.forEach((hit, i) => {
        const found = byKey.get(keyOf(hit))!;
        assert.is(found.stages!.retrieval, hit.score);
        assert.ok(Math.abs(found.score - 1 / (1 + Math.exp(-((1 - mix) * a[i]! + mix * b[i]!)))) < 1e-9);
        assert.ok(Math.abs(found.relevance! - 1 / (1 + Math.exp(-logits[i]!))) < 1e-9);
      });
      await store.close();
    }),
    { numRuns: 40 },
  );
});

test('minRelevance leaves out what does not answer, and may leave nothing', async () => {
  const store = indexed(1, 200);
  const searcher = new Searcher(store, encoder);
  const options = { k: 1000, rerankDepth: 1000 };
  const all = (await searcher.searchReranked('apple cloud', options, fakeReranker(0.5))).hits;
  for (const minRelevance of [0, 0.5, 0.9, 1]) {
    const { hits } = await searcher.searchReranked(
      'apple cloud',
      { ...options, minRelevance },
      fakeReranker(0.5),
    );
    assert.equal(hits.map(keyOf), all.filter(({ relevance }) => relevance! >= minRelevance).map(keyOf));
  }
  await store.close();
});

test('a budget that ends first leaves the rest in its order and says how many were reranked', async () => {
  const store = indexed(2, 200);
  const searcher = new Searcher(store, encoder);
  const slow = fakeReranker(1, () => new Promise((resolve) => setTimeout(resolve, 150)));
  const { hits, reranked, complete } = await searcher.searchReranked(
    'apple cloud',
    { k: 1000, rerankDepth: 100, budgetMs: 300 },
    slow,
  );
  const plain = searcher.search('apple cloud', { k: 1000 }).hits;
  assert.ok(reranked! > 0 && reranked! < 100, String(reranked));
  assert.is(complete, false);
  assert.equal(hits.map(keyOf).sort(), plain.map(keyOf).sort());
  assert.equal(hits.slice(reranked).map(keyOf), plain.slice(reranked).map(keyOf));
  await store.close();
});

test('an aborted search throws the reason; a write meanwhile changes nothing of it', async () => {
  const store = indexed(3, 200);
  const searcher = new Searcher(store, encoder);
  const gone = new AbortController();
  const reason = new Error('nobody waits');
  const aborting = fakeReranker(0.5, () => gone.abort(reason));
  try {
    await searcher.searchReranked('apple cloud', {}, aborting, gone.signal);
    assert.unreachable();
  } catch (error) {
    assert.is(error, reason);
  }
  const before = await searcher.searchReranked('apple cloud', { k: 50 }, fakeReranker(0.5));
  const ids = [...store.sourceIds()];
  let deleted = false;
  const during = fakeReranker(0.5, () => {
    if (!deleted) store.delete(ids);
    deleted = true;
    store.view();
  });
  const { hits } = await searcher.searchReranked('apple cloud', { k: 50 }, during);
  assert.equal(hits, before.hits);
  assert.equal(searcher.search('apple cloud').hits, []);
  await store.close();
});

test('with an early exit the best of every window by ranking and estimate have logits, the others their estimates', async () => {
  const shares = fc.constantFrom(0.1, 0.5, 0.9);
  await check(
    fc.asyncProperty(requests, shares, async ({ seed, query, mix, ...given }, keep) => {
      const store = indexed(seed, 400);
      const searcher = new Searcher(store, encoder);
      const options = { ...defined(given), groupByParent: false, k: 1000, explain: true };
      const plain = searcher.search(query, { ...options, explain: false }).hits;
      const { hits, reranked, complete } = await searcher.searchReranked(
        query,
        options,
        leavingEarly(mix, keep),
      );
      const depth = Math.min(options.rerankDepth ?? 40, plain.length);
      assert.equal([reranked, complete], [depth, true]);
      assert.equal(hits.map(keyOf).sort(), plain.map(keyOf).sort());
      const byKey = new Map(hits.map((hit) => [keyOf(hit), hit]));
      for (let from = 0; from < depth; from += 128) {
        const window = plain.slice(from, Math.min(from + 128, depth)).map((hit) => byKey.get(keyOf(hit))!);
        const whole = window.filter(({ stages }) => stages!.cross !== undefined);
        assert.is(whole.length, Math.ceil(keep * window.length));
        for (const { stages, relevance } of window) {
          assert.is((stages!.cross === undefined) !== (stages!.early === undefined), true);
          const value = stages!.cross ?? stages!.early!;
          assert.ok(Math.abs(relevance! - 1 / (1 + Math.exp(-value))) < 1e-9);
        }
        // Where the ranking counts for nothing, nobody who left has a better estimate than one who went on.
        if (mix === 1) {
          const left = window.filter(({ stages }) => stages!.early !== undefined);
          const textOf = ({ id, passage }: (typeof window)[number]) =>
            store.get(passage === undefined ? id : { id, passage })!.text;
          const worst = Math.min(...whole.map((hit) => estimateOf(textOf(hit))));
          for (const { stages } of left) assert.ok(stages!.early! <= worst);
        }
      }
      await store.close();
    }),
    { numRuns: 30 },
  );
});

test('a budget that ends between the steps leaves estimates, one that ends before leaves the ranking', async () => {
  const store = indexed(2, 200);
  const searcher = new Searcher(store, encoder);
  for (const [steps, expected] of [
    [1, { reranked: 16, whole: 0 }],
    [4, { reranked: 64, whole: 0 }],
    [8, { reranked: 100, whole: 16 }],
  ] as const) {
    let left: number = steps;
    const late = () => new Promise<void>((resolve) => setTimeout(resolve, 400));
    const stage = leavingEarly(1, 0.5, () => (--left === 0 ? late() : undefined));
    const options = { k: 1000, rerankDepth: 100, budgetMs: 350, explain: true };
    const { hits, reranked, complete } = await searcher.searchReranked('apple cloud', options, stage);
    assert.is(complete, false);
    assert.is(reranked, expected.reranked);
    assert.is(hits.filter(({ stages }) => stages?.cross !== undefined).length, expected.whole);
    const plain = searcher.search('apple cloud', { k: 1000 }).hits;
    assert.equal(hits.slice(reranked).map(keyOf), plain.slice(reranked).map(keyOf));
  }
  await store.close();
});

test.run();
