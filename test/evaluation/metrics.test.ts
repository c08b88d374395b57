import { readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { evaluateRun, isMetricName, type MetricName, type ScoredDocument } from '../../evaluation/metrics.ts';

interface Parity {
  cases: {
    qrels: Record<string, Record<string, number>>;
    run: Record<string, [string, number][]>;
    expected: Record<string, Record<string, number>>;
  }[];
}
const parity = JSON.parse(
  readFileSync(new URL('../fixtures/evaluation/trec-parity.json', import.meta.url), 'utf8'),
) as Parity;

const NAMES: Record<string, MetricName> = {
  ndcg_cut_1: 'ndcg@1',
  ndcg_cut_3: 'ndcg@3',
  ndcg_cut_10: 'ndcg@10',
  recall_5: 'recall@5',
  recall_100: 'recall@100',
  map: 'map',
  P_5: 'p@5',
  recip_rank: 'mrr',
};

const toQrels = (qrels: Record<string, Record<string, number>>) =>
  new Map(Object.entries(qrels).map(([id, judged]) => [id, new Map(Object.entries(judged))]));
const toRun = (run: Record<string, [string, number][]>) =>
  new Map(Object.entries(run).map(([id, rows]) => [id, rows.map(([doc, score]) => ({ id: doc, score }))]));

test('values equal those recorded from pytrec_eval on random runs with ties', () => {
  for (const { qrels, run, expected } of parity.cases) {
    const found = evaluateRun(toRun(run), toQrels(qrels), Object.values(NAMES), { complete: false });
    for (const [queryId, values] of Object.entries(expected))
      for (const [name, value] of Object.entries(values)) {
        const mine = found.get(NAMES[name]!)!.perQuery.get(queryId)!;
        assert.ok(Math.abs(mine - value) < 1e-9, `${queryId} ${name}: ${mine}, pytrec_eval ${value}`);
      }
    assert.equal([...found.get('map')!.perQuery.keys()].sort(), Object.keys(expected).sort());
  }
});

/** The definitions written down plainly, with no care for speed. */
function slowNdcg(ranked: string[], judged: Map<string, number>, k: number): number {
  const gain = (g: number | undefined) => Math.max(0, g ?? 0);
  const sum = (gains: number[]) => gains.slice(0, k).reduce((s, g, i) => s + g / Math.log2(i + 2), 0);
  const ideal = sum([...judged.values()].map(gain).sort((a, b) => b - a));
  return ideal === 0 ? 0 : sum(ranked.map((id) => gain(judged.get(id)))) / ideal;
}

test('measures equal a slow reference on random runs', () => {
  const ids = fc.constantFrom(...Array.from({ length: 12 }, (_, i) => `d${i}`));
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.tuple(ids, fc.integer({ min: 0, max: 4 })), { selector: ([id]) => id }),
      fc.uniqueArray(fc.tuple(ids, fc.integer({ min: -1, max: 3 })), {
        selector: ([id]) => id,
        minLength: 1,
      }),
      fc.integer({ min: 1, max: 12 }),
      (retrieved, grades, k) => {
        const judged = new Map(grades);
        const run = new Map([['q', retrieved.map(([id, score]): ScoredDocument => ({ id, score }))]]);
        const ranked = [...retrieved].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? 1 : -1)).map(([id]) => id);
        const relevant = new Set(grades.filter(([, g]) => g > 0).map(([id]) => id));
        const hits = ranked.slice(0, k).filter((id) => relevant.has(id)).length;
        const found = evaluateRun(run, new Map([['q', judged]]), [
          `ndcg@${k}`,
          `recall@${k}`,
          `p@${k}`,
          `mrr@${k}`,
          `judged@${k}`,
        ]);
        const value = (name: MetricName) => found.get(name)!.mean;
        const close = (a: number, b: number) => assert.ok(Math.abs(a - b) < 1e-12, `${a} ${b}`);
        close(value(`ndcg@${k}`), slowNdcg(ranked, judged, k));
        close(value(`recall@${k}`), relevant.size ? hits / relevant.size : 0);
        close(value(`p@${k}`), hits / k);
        const first = ranked.slice(0, k).findIndex((id) => relevant.has(id));
        close(value(`mrr@${k}`), first < 0 ? 0 : 1 / (first + 1));
        const top = ranked.slice(0, k);
        close(value(`judged@${k}`), top.length ? top.filter((id) => judged.has(id)).length / top.length : 0);
      },
    ),
    { numRuns: 300, verbose: 1 },
  );
});

test('complete counts a silent query as 0, otherwise it is left out', () => {
  const qrels = toQrels({ a: { d1: 1 }, b: { d2: 1 } });
  const run = toRun({ a: [['d1', 1]] });
  assert.is(evaluateRun(run, qrels, ['map']).get('map')!.mean, 0.5);
  assert.is(evaluateRun(run, qrels, ['map'], { complete: false }).get('map')!.mean, 1);
});

test('unknown measures are refused by name', () => {
  for (const name of ['ndcg', 'ndcg@0', 'ndcg@1.5', 'map@10', 'f1@3', 'recall', ''])
    assert.not(isMetricName(name));
  assert.ok(isMetricName('ndcg@10'));
  assert.throws(() => evaluateRun(new Map(), new Map(), ['bleu@4' as MetricName]), /"bleu@4" is no measure/);
});

test.run();
