import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openModel } from '../../../encoder/model.ts';
import { IndexStore } from '../../../indexer/index-store.ts';
import { Searcher } from '../../../query/search/searcher.ts';
import { SETTINGS, source } from '../../helpers/documents.ts';
import { check } from '../../helpers/property.ts';
import { tempFolder } from '../../helpers/temp-folder.ts';

const test = suite('explanations of scores');
const { query: encoder } = openModel();
const { tokenizer } = encoder;

const WORDS = ['sky', 'gout', 'scattering', 'in', 'café', 'lighthouse', 'x', '7up', 'inlay', 'unbelievably'];
const QUERY_IDS = [...new Set(tokenizer.encode(WORDS.join(' ')))];

test('a token is from the text exactly where the title or text has it, whatever became of the segments', async () => {
  const texts = fc.array(fc.constantFrom(...WORDS), { maxLength: 6 }).map((words) => words.join(' '));
  await check(
    fc.asyncProperty(
      fc.array(
        fc.record({
          text: texts,
          terms: fc.uniqueArray(fc.constantFrom(...QUERY_IDS), { minLength: 1 }),
          hasText: fc.boolean(),
        }),
        { minLength: 1, maxLength: 12 },
      ),
      fc.boolean(),
      async (docs, merged) => {
        const store = IndexStore.openOrCreate(tempFolder(), SETTINGS);
        docs.forEach(({ text, terms, hasText }, i) => {
          const impacts = new Map(terms.map((id, place) => [id, 20 + 10 * place]));
          const known = hasText ? { text, subwordIds: tokenizer.encode(text) } : {};
          store.upsert([source(`d${i}`, impacts, known)]);
        });
        if (merged) store.forceMerge();
        const searcher = new Searcher(store, encoder);
        const { hits } = searcher.search(WORDS.join(' '), { k: docs.length, explain: true });
        assert.is(hits.length, docs.length);
        for (const { id, explanation } of hits) {
          const { text, terms, hasText } = docs[Number(id.slice(1))]!;
          const inText = new Set(hasText ? tokenizer.encode(text) : []);
          for (const { token, origin } of explanation!) {
            const termId = tokenizer.idOf(token)!;
            const expected = inText.has(termId) ? 'text' : 'added';
            assert.is(origin, terms.includes(termId) ? expected : 'missing', `${token} of ${id}`);
          }
          const present = explanation!.filter(({ origin }) => origin !== 'missing');
          assert.is(present.length, terms.length);
        }
        await store.close();
      },
    ),
    { numRuns: 30 },
  );
});

test.run();
