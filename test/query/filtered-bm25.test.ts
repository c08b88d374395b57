import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { IdfQueryEncoder } from '../../encoder/idf-query.ts';
import { WordPieceTokenizer } from '../../encoder/transformer/tokenizer/wordpiece.ts';
import { bitmapFor, isLive, setBit } from '../../indexer/format/bitmap.ts';
import { IndexStore } from '../../indexer/index-store.ts';
import { bm25Query, bm25Scan, segmentNorms, wordLists } from '../../query/retrieve/bm25.ts';
import { TopK } from '../../query/retrieve/top-k.ts';
import { Searcher } from '../../query/search/searcher.ts';
import { analyze } from '../../query/text/english-analyzer.ts';
import { randomSource } from '../../random.ts';
import { SETTINGS, source } from '../helpers/documents.ts';
import { tempFolder } from '../helpers/temp-folder.ts';

const test = suite('BM25 with filters');

const WORDS = ['apple', 'river', 'stone', 'cloud', 'music', 'garden', 'winter', 'candle', 'horse', 'paper'];
const STEMS = WORDS.map((word) => analyze(word)[0]!);
const YEARS = 12;
/** From one document of a hundred to all but those of one year: each way a filter can be searched. */
const FILTERS: readonly { readonly year: number | { readonly lt: number } }[] = [
  { year: 1999 },
  { year: 3 },
  { year: { lt: 5 } },
  { year: { lt: YEARS - 1 } },
];

function batch(size: number, first: number, random: () => number) {
  return Array.from({ length: size }, (_, i) => {
    const words = Array.from(
      { length: 1 + Math.floor(random() * 30) },
      () => STEMS[Math.floor(STEMS.length * random() ** 2)]!,
    );
    const year = random() < 0.01 ? 1999 : Math.floor(random() * YEARS);
    return source(`d${first + i}`, new Map([[1, 100]]), { words, metadata: { year } });
  });
}

/** The ranking by the scan that is the specification, of the documents whose stored year passes. */
function scanned(store: IndexStore, text: string, k: number, passes: (year: number) => boolean) {
  const view = store.view();
  const query = bm25Query(view, analyze(text));
  return view.segments
    .flatMap((one) => {
      const { segment } = one;
      const accept = bitmapFor(segment.numDocs);
      for (let docId = 0; docId < segment.numDocs; docId++) {
        const stored = isLive(one.live, docId) ? view.document(segment.docKeys[docId]!) : undefined;
        if (stored && passes(Number(stored.metadata.year))) setBit(accept, docId);
      }
      const top = new TopK(k);
      bm25Scan(segment, wordLists(segment, query), segmentNorms(one, query), accept, top);
      const { docIds, scores } = top.sorted();
      return Array.from(docIds, (docId, i) => [segment.id(docId), scores[i]!] as const);
    })
    .sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1))
    .slice(0, k);
}

test('every search with a filter gives the ranking of the scan in every bit, while documents come and go', async () => {
  const seed = 20_261_128;
  const random = randomSource(seed);
  const store = IndexStore.openOrCreate(tempFolder(), SETTINGS);
  const searcher = new Searcher(
    store,
    new IdfQueryEncoder(new WordPieceTokenizer(['a', 'b']), new Float32Array(2)),
  );
  let next = 0;
  for (let round = 0; round < 60; round++) {
    if (round % 15 === 0) {
      const size = [3000, 900, 40, 200][round / 15]!;
      store.upsert(batch(size, next, random));
      next += size;
    }
    if (round % 10 === 7) store.delete(Array.from({ length: 30 }, () => `d${Math.floor(random() * next)}`));
    const filter = FILTERS[Math.floor(random() * FILTERS.length)]!;
    const { year } = filter;
    const text = Array.from(
      { length: 1 + Math.floor(random() * 5) },
      () => WORDS[Math.floor(WORDS.length * random())]!,
    ).join(' ');
    const k = [1, 10, 100][round % 3]!;
    const expected = scanned(store, text, k, (of) => (typeof year === 'number' ? of === year : of < year.lt));
    for (const scan of ['auto', 'exact'] as const) {
      const found = searcher.rank(text, 'bm25', k, { filter, scan }).map(({ id, score }) => [id, score]);
      assert.equal(found, expected, `seed ${seed}, round ${round}, ${scan}: ${text}`);
    }
  }
  await store.close();
});

test.run();
