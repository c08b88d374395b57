import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { calibrate } from '../../evaluation/calibration/calibrate.ts';
import { bestShare, mean, ndcgBySet, ordered } from '../../evaluation/calibration/mixes.ts';
import { fitRelevance, relevanceCurve } from '../../evaluation/calibration/relevance.ts';
import type { ScoredSet, StageScored } from '../../evaluation/calibration/stage-scores.ts';
import { rerank } from '../../query/rerank/rerank.ts';
import type { RerankStage, StageName } from '../../query/rerank/stage.ts';
import type { ScoredDoc } from '../../query/retrieve/retriever.ts';
import { check } from '../helpers/property.ts';
import { randomSource } from '../kernels/helpers.ts';

const test = suite('calibration');

const scores = fc.double({ min: -9, max: 9, noNaN: true });
const documents = fc.array(
  fc.record({ grade: fc.nat(2), retrieval: scores, vector: scores, cross: scores }),
  { minLength: 1, maxLength: 40 },
);
const share = fc.integer({ min: 0, max: 20 }).map((i) => i / 20);

test('documents are ordered as a search orders them, for every use of the stages', async () => {
  await check(
    fc.asyncProperty(documents, share, share, fc.integer({ min: 1, max: 50 }), async (found, v, c, depth) => {
      // A first ranking is in the order of its scores.
      const first = [...found].sort((a, b) => b.retrieval - a.retrieval);
      const stage = (name: StageName, mix: number): RerankStage => ({
        name,
        settings: { mix, depth: 1000, relevance: { slope: 1, offset: 0 } },
        score: async (_search, docs) => ({
          scores: docs.map((doc) => first[Number(doc.id)]![name as 'vector' | 'cross']),
        }),
      });
      const docs = first.map(
        ({ retrieval }, i) => ({ id: String(i).padStart(3, '0'), score: retrieval }) as ScoredDoc,
      );
      const never = { isPast: false } as never;
      for (const [use, stages] of [
        [{ vector: v }, [stage('vector', v)]],
        [{ cross: c }, [stage('cross', c)]],
        [{ vector: v, cross: c, depth }, [stage('vector', v), stage('cross', c)]],
      ] as const) {
        const options = { depth: 'depth' in use ? depth : undefined, deadline: never };
        const searched = await rerank({} as never, docs, stages, options);
        const expected = searched.docs.map(({ id }) => first[Number(id)]!);
        assert.equal(ordered({ documents: first, ideal: [] }, use), expected);
      }
    }),
    { numRuns: 100 },
  );
});

/** Documents whose stages know nothing, something and almost everything about their grade. */
function simulated(seed: number, queries: number): ScoredSet {
  const random = randomSource(seed);
  const noise = () => random() + random() + random() - 1.5;
  return {
    name: `set-${seed}`,
    queries: Array.from({ length: queries }, () => {
      const documents = Array.from({ length: 40 }, (): StageScored => {
        const grade = random() < 0.2 ? 1 : 0;
        return { grade, retrieval: noise(), vector: grade + noise(), cross: 6 * grade + noise() };
      });
      const ideal = documents.flatMap(({ grade }) => (grade > 0 ? [grade] : []));
      return { documents: documents.sort((a, b) => b.retrieval - a.retrieval), ideal };
    }),
  };
}

test('the shares follow what the stages know, and no other share on the grid is better', () => {
  const sets = [simulated(1, 40), simulated(2, 40)];
  const { rows, vector, cross, datasets } = calibrate(sets);
  assert.equal(datasets, ['set-1', 'set-2']);
  assert.ok(vector!.mix >= 0.7, `vector ${vector!.mix}`);
  assert.ok(cross!.mix >= 0.7, `cross ${cross!.mix}`);
  const best = mean(ndcgBySet(sets, { vector: vector!.mix }));
  for (let i = 0; i <= 20; i++) assert.ok(mean(ndcgBySet(sets, { vector: i / 20 })) <= best + 1e-9);
  assert.is(rows.find(({ name }) => name.startsWith('vector, share'))!.mean, best);
  // A stage that repeats the first ranking gains nothing, so the smallest share is chosen.
  const useless = sets.map(({ name, queries }) => ({
    name,
    queries: queries.map(({ documents, ideal }) => ({
      ideal,
      documents: documents.map((document) => ({ ...document, vector: document.retrieval })),
    })),
  }));
  assert.is(
    bestShare(useless, (vector) => ({ vector })),
    0,
  );
});

test('relevance is the probability with which documents were drawn', () => {
  const random = randomSource(7);
  const truth = { slope: 0.8, offset: -3 };
  const documents = Array.from({ length: 40_000 }, (): StageScored => {
    const cross = 12 * random() - 4;
    const p = 1 / (1 + Math.exp(-(truth.slope * cross + truth.offset)));
    return { grade: random() < p ? 1 : 0, retrieval: 0, cross };
  });
  const sets = [{ name: 'drawn', queries: [{ documents, ideal: [] }] }];
  const { slope, offset } = fitRelevance(sets, ({ cross }) => cross)!;
  assert.ok(Math.abs(slope - truth.slope) < 0.05, `slope ${slope}`);
  assert.ok(Math.abs(offset - truth.offset) < 0.1, `offset ${offset}`);
  assert.is(
    fitRelevance(sets, () => undefined),
    undefined,
  );
});

test('scores that separate relevant documents without error give a finite slope', () => {
  const documents = [1, 1, 0, 0].map(
    (grade): StageScored => ({ grade, retrieval: 0, cross: grade ? 5 : -5 }),
  );
  const { slope, offset } = fitRelevance(
    [{ name: 'x', queries: [{ documents, ideal: [1, 1] }] }],
    (d) => d.cross,
  )!;
  assert.ok(Number.isFinite(slope) && Number.isFinite(offset) && slope > 0);
});

test('a higher threshold keeps fewer relevant hits and leaves more queries empty', () => {
  const sets = [simulated(3, 30)];
  const { slope, offset } = fitRelevance(sets, ({ cross }) => cross)!;
  const curve = relevanceCurve(
    sets,
    { cross: 1 },
    ({ cross }) => 1 / (1 + Math.exp(-(slope * cross! + offset))),
  );
  assert.is(curve.length, 20);
  assert.equal([curve[0]!.recall, curve[0]!.empty], [1, 0]);
  for (const [i, { recall, empty }] of curve.entries()) {
    if (i === 0) continue;
    assert.ok(recall <= curve[i - 1]!.recall && empty >= curve[i - 1]!.empty);
  }
  assert.ok(curve[10]!.precision > curve[0]!.precision);
});

test('sets that say nothing are refused', () => {
  const none = [{ name: 'none', queries: [{ documents: [{ grade: 1, retrieval: 1 }], ideal: [1] }] }];
  assert.throws(
    () => calibrate(none),
    (error: Error) => /no stage scored/.test(error.message),
  );
  const unjudged = [
    { name: 'none', queries: [{ documents: [{ grade: 0, retrieval: 1, cross: 1 }], ideal: [1] }] },
  ];
  assert.throws(
    () => calibrate(unjudged),
    (error: Error) => /no hit is relevant/.test(error.message),
  );
});

test.run();
