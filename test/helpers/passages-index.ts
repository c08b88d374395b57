import { IdfQueryEncoder } from '../../encoder/idf-query.ts';
import { WordPieceTokenizer } from '../../encoder/transformer/tokenizer/wordpiece.ts';
import { IndexStore } from '../../indexer/index-store.ts';
import { SETTINGS, source } from './documents.ts';
import { tempFolder } from './temp-folder.ts';

const WORDS = ['apple', 'bridge', 'cloud', 'dragon', 'eagle', 'forest'];
export const encoder = new IdfQueryEncoder(
  new WordPieceTokenizer(WORDS),
  new Float32Array(WORDS.length).fill(2),
);

/** Documents of which many score alike, in passages of few sources, over several segments. */
export function indexed(seed: number, count: number): IndexStore {
  let state = seed + 1;
  const random = (n: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return (state >>> 8) % n;
  };
  const store = IndexStore.openOrCreate(tempFolder(), SETTINGS);
  const sources = Array.from({ length: Math.ceil(count / 4) }, (_, s) => {
    const passages = Array.from({ length: 4 }, (_, passage) => {
      const words = Array.from({ length: 1 + random(8) }, () => WORDS[random(6)]!);
      const impacts = new Map([0, 1, 2].map(() => [random(6), 1 + random(255)]));
      const one = source(`d${s}`, impacts, {
        words: words.map((word) =>
          word === 'apple' ? 'appl' : word === 'bridge' ? 'bridg' : word === 'eagle' ? 'eagl' : word,
        ),
        text: words.join(' '),
        metadata: { year: random(5) },
      }).documents[0]!;
      return { ...one, document: { ...one.document, passage } };
    });
    return { id: `d${s}`, contentHash: 'h', documents: passages };
  });
  const batch = Math.ceil(sources.length / 3);
  for (let i = 0; i < sources.length; i += batch) store.upsert(sources.slice(i, i + batch));
  return store;
}
