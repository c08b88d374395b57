import { join } from 'node:path';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openIndex } from '../../../app/search-index.ts';
import {
  asSources,
  passageIds,
  readPassages,
  samplePassages,
  sourcesByText,
} from '../../../app/training/passages.ts';
import { parseStoredId } from '../../../indexer/format/stored-id.ts';
import { check } from '../../helpers/property.ts';
import { tempFolder } from '../../helpers/temp-folder.ts';

const test = suite('passages of an index');
const index = openIndex(join(tempFolder(), 'index'), { create: true, lexicalOnly: true });
await index.add(
  Array.from({ length: 60 }, (_, i) => ({
    id: `d${i}`,
    title: i % 2 === 0 ? `Title ${i}` : '',
    text: i % 10 === 0 ? `Sentence ${i} about rivers and stones. `.repeat(150) : `The text of number ${i}.`,
  })),
);
const all = await samplePassages(index.backend, 1000, 1);

test('a sample holds the smaller one of the same seed, and depends on nothing else', () =>
  check(
    fc.asyncProperty(fc.nat(40), fc.nat(40), fc.nat(50), async (least, more, seed) => {
      const small = (await samplePassages(index.backend, least, seed)).map(({ id }) => id);
      const large = (await samplePassages(index.backend, least + more, seed)).map(({ id }) => id);
      assert.is(small.length, Math.min(least, all.length));
      assert.equal(large.slice(0, least), small);
      assert.is(new Set(large).size, Math.min(least + more, all.length));
    }),
  ));

test('another seed draws others, and the whole index may be drawn', async () => {
  assert.is(all.length, index.stats().documents);
  assert.ok(all.length > 60, 'some are cut into passages');
  assert.not.equal(await samplePassages(index.backend, 20, 1), await samplePassages(index.backend, 20, 2));
});

test('passages are read by their ids, and become sources again', () => {
  const ids = all.map(({ id }) => id);
  const read = readPassages(index.backend, [...ids, 'gone']);
  assert.equal([...read.keys()], ids);
  for (const passage of all) assert.equal(read.get(passage.id), passage);
  const sources = asSources(all);
  assert.is(sources.length, 60);
  for (const { id, documents } of sources) {
    const wanted = passageIds(index.backend, id).map((stored) => parseStoredId(stored).passage);
    assert.equal(
      documents.map(({ passage }) => passage),
      wanted,
    );
  }
  const [cut] = sources.filter(({ documents }) => documents.length > 2);
  const gap = all.filter(({ id }) => id.startsWith(cut!.id) && parseStoredId(id).passage !== 1);
  assert.equal(
    asSources(gap)
      .find(({ id }) => id === cut!.id)!
      .documents.map(({ passage }) => passage),
    cut!.documents.slice(1).map((_, i) => i),
  );
  assert.equal(passageIds(index.backend, 'gone'), []);
});

test('documents are found by their texts, with or without the title, whatever case and punctuation', async () => {
  const texts = ['Title 2 the TEXT of number 2', 'the text of number 3', 'a text that nobody has'];
  assert.equal(
    await sourcesByText(index.backend, texts),
    new Map([
      [texts[0]!, 'd2'],
      [texts[1]!, 'd3'],
    ]),
  );
});

test.after(() => index.close());
test.run();
