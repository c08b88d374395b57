import * as assert from 'uvu/assert';
import { isBitSet, isLive } from '../../indexer/format/bitmap.ts';
import type { IndexStore } from '../../indexer/index-store.ts';
import { forEachInList } from '../../indexer/postings/posting-list-reader.ts';
import type { IndexView } from '../../indexer/store/index-view.ts';
import type { IndexableSource } from '../../indexer/types.ts';
import { randomSource } from '../../random.ts';
import { source } from '../helpers/documents.ts';

/*
 * A history of writes that a seed determines: any process can play step i, and any other can say what the index must hold
 * after it.
 */

export interface Step {
  readonly kind: 'upsert' | 'delete' | 'forceMerge';
  readonly ids: readonly string[];
}

const IDS = 200;
const TERMS = 50;
/** A document whose text is the number of the last upsert: it comes in the same transaction as the others. */
export const CLOCK = 'clock';

export function stepOf(seed: number, i: number): Step {
  const random = randomSource(seed * 1_000_003 + i);
  const draw = random();
  const kind = draw < 0.75 ? 'upsert' : draw < 0.95 ? 'delete' : 'forceMerge';
  const count = kind === 'upsert' ? 1 + Math.floor(random() * 30) : 1 + Math.floor(random() * 12);
  const ids = Array.from({ length: count }, () => `d${Math.floor(random() * IDS)}`);
  return { kind, ids: kind === 'upsert' ? [...new Set(ids), CLOCK] : [...new Set(ids)] };
}

/** The vector that step i gives a document. */
function vectorOf(seed: number, i: number, id: string): Map<number, number> {
  const random = randomSource(seed + 31 * i + 7919 * Number(id === CLOCK ? 0 : id.slice(1)));
  return new Map(
    Array.from({ length: 2 + Math.floor(random() * 14) }, () => [
      Math.floor(random() * TERMS),
      1 + Math.floor(random() * 255),
    ]),
  );
}

/** The half of a vector's terms that stand in the text, and one that has no weight. */
const subwordsOf = (vector: ReadonlyMap<number, number>): number[] => [
  ...[...vector.keys()].filter((term) => term % 2 === 0),
  TERMS,
];

const textOf = (i: number, id: string): string =>
  id === CLOCK ? String(i) : `${id} of step ${i} `.repeat(8);

export function play(store: IndexStore, seed: number, i: number): void {
  const { kind, ids } = stepOf(seed, i);
  if (kind === 'upsert') store.upsert(sourcesOf(seed, i, ids));
  else if (kind === 'delete') store.delete(ids);
  else store.forceMerge();
}

/** As {@link play}, with the writes on their thread. */
export async function playInBackground(store: IndexStore, seed: number, i: number): Promise<void> {
  const { kind, ids } = stepOf(seed, i);
  if (kind === 'upsert') await store.background.upsert(sourcesOf(seed, i, ids));
  else if (kind === 'delete') await store.background.delete(ids);
  else store.forceMerge();
}

const sourcesOf = (seed: number, i: number, ids: readonly string[]): IndexableSource[] =>
  ids.map((id) => {
    const vector = vectorOf(seed, i, id);
    return source(id, vector, {
      subwordIds: subwordsOf(vector),
      text: textOf(i, id),
      words: [`w${i % 40}`, id],
      metadata: { year: 2000 + (i % 9), lang: [`l${i % 5}`] },
    });
  });

/** What an index must hold: the step that wrote each document last. */
export type Model = ReadonlyMap<string, number>;

/** The model after steps 0 .. count - 1. */
export function modelAfter(seed: number, count: number, from: Model = new Map(), first = 0): Model {
  const model = new Map(from);
  for (let i = first; i < count; i++) {
    const { kind, ids } = stepOf(seed, i);
    if (kind === 'upsert') for (const id of ids) model.set(id, i);
    if (kind === 'delete') for (const id of ids) model.delete(id);
  }
  return model;
}

/** Which step a view of the index shows each document of, after comparing stored fields, vectors and postings of each. */
export function contentsOf(generation: IndexView, seed: number): Model {
  const found = new Map<string, number>();
  for (const { segment, live } of generation.segments) {
    const postings = new Map<number, Map<number, number>>();
    segment.termIds.forEach((term, list) => {
      forEachInList(segment.impacts, list, (docId, impact) => {
        const vector = postings.get(docId) ?? new Map<number, number>();
        postings.set(docId, vector.set(term, impact));
      });
    });
    // Deleted documents of the segment count, too.
    const marked = new Map<number, number>();
    const { rowOffsets, columnIds } = segment.forwardMatrix;
    for (let p = 0; p < rowOffsets[segment.numDocs]!; p++)
      if (isBitSet(segment.inText, p)) marked.set(columnIds[p]!, (marked.get(columnIds[p]!) ?? 0) + 1);
    assert.equal(
      Array.from(segment.termIds, (term) => marked.get(term) ?? 0),
      [...segment.textFrequencies],
      'text frequencies',
    );
    for (let docId = 0; docId < segment.numDocs; docId++) {
      if (!isLive(live, docId)) continue;
      const id = segment.id(docId);
      assert.not(found.has(id), `two live documents have id ${id}`);
      const record = generation.document(segment.docKeys[docId]!);
      assert.is(record?.id, id, `document ${id} has no stored fields`);
      const step = id === CLOCK ? Number(record!.text) : Number(/of step (\d+)/.exec(record!.text)![1]);
      assert.is(record!.text, textOf(step, id));
      const expected = [...vectorOf(seed, step, id)].sort(([a], [b]) => a - b);
      const { termIds, impacts } = segment.vector(docId);
      assert.equal(
        Array.from(termIds, (term, i) => [term, impacts[i]!]),
        expected,
        `vector of ${id}`,
      );
      assert.equal(
        [...(postings.get(docId) ?? [])].sort(([a], [b]) => a - b),
        expected,
        `postings of ${id}`,
      );
      const subwords = subwordsOf(vectorOf(seed, step, id));
      expected.forEach(([term], i) => {
        assert.is(
          isBitSet(segment.inText, rowOffsets[docId]! + i),
          subwords.includes(term),
          `marks of ${id}`,
        );
      });
      found.set(id, step);
    }
  }
  return found;
}

export function sameModel(a: Model, b: Model): boolean {
  return a.size === b.size && [...a].every(([id, step]) => b.get(id) === step);
}
