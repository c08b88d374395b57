import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { displayId } from '../../../indexer/format/stored-id.ts';
import { IndexStore } from '../../../indexer/index-store.ts';
import {
  type PostingsReader,
  readImpactPostings,
  readVectors,
  readWordPostings,
  readWords,
} from '../../../indexer/store/raw-contents.ts';
import { SETTINGS, source } from '../../helpers/documents.ts';
import { tempFolder } from '../../helpers/temp-folder.ts';

const test = suite('raw contents');

let store: IndexStore;

test.before(() => {
  store = IndexStore.openOrCreate(tempFolder(), SETTINGS);
  store.upsert([
    source(
      'a',
      new Map([
        [1, 5],
        [2, 9],
      ]),
      { words: ['lava', 'flow', 'lava'] },
    ),
    source(
      'gone',
      new Map([
        [2, 7],
        [8, 3],
      ]),
      { words: ['gone', 'flow'] },
    ),
  ]);
  store.upsert([source('b', new Map([[2, 255]]), { words: ['flow'] })]);
  store.delete(['gone']);
});
test.after(() => store.close());

/** By term: document id and value. */
function postingsOf<Term>({
  documents,
  terms,
  postingsOf,
}: PostingsReader<Term>): Map<Term, [string, number][]> {
  return new Map(
    terms.map((term) => {
      const { docIds, values } = postingsOf(term);
      return [term, Array.from(docIds, (docId, i) => [documents[docId]!.ref.id, values[i]!])];
    }),
  );
}

test('vectors and words are those of live documents, in every segment', () => {
  const vectors = [...readVectors(store.view())].map(({ ref, vector }) => [
    displayId(ref),
    [...vector.termIds],
    [...vector.impacts],
  ]);
  assert.equal(vectors, [
    ['a', [1, 2], [5, 9]],
    ['b', [2], [255]],
  ]);
  const words = [...readWords(store.view())].map(({ ref, frequencies }) => [ref.id, [...frequencies].sort()]);
  assert.equal(words, [
    [
      'a',
      [
        ['flow', 1],
        ['lava', 2],
      ],
    ],
    ['b', [['flow', 1]]],
  ]);
  assert.is([...readVectors(store.view())][1]!.record()!.id, 'b');
});

test('postings number the live documents without gaps and leave out terms that only deleted ones have', () => {
  const impacts = readImpactPostings(store.view());
  assert.equal(
    impacts.documents.map(({ ref, length }) => [ref.id, length]),
    [
      ['a', 2],
      ['b', 1],
    ],
  );
  assert.equal([...postingsOf(impacts)].sort(), [
    [1, [['a', 5]]],
    [
      2,
      [
        ['a', 9],
        ['b', 255],
      ],
    ],
  ]);
  const words = readWordPostings(store.view());
  assert.equal([...postingsOf(words)].sort(), [
    [
      'flow',
      [
        ['a', 1],
        ['b', 1],
      ],
    ],
    ['lava', [['a', 2]]],
  ]);
  assert.equal(
    words.documents.map(({ length }) => length),
    [3, 1],
  );
});

test.run();
