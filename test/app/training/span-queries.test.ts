import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cutQuery } from '../../../app/training/span-queries.ts';
import { check } from '../../helpers/property.ts';

const test = suite('span queries');
const rarity = (word: string): number => (word.length > 4 ? word.length : 1);
const source = {
  title: 'Guide > Wing flutter',
  text: 'Panel flutter occurs at supersonic speed. It depends on stiffness, and on the damping ratio of the panel! Nobody knows why it stops.',
};

test('queries are made of whole words of their passage, in order', () =>
  check(
    fc.property(fc.nat(), fc.string(), fc.lorem({ maxCount: 40 }), (seed, title, text) => {
      const cut = cutQuery({ title, text }, seed, rarity);
      if (!cut) return;
      const bare = (one: string) => one.replace(/[^\p{L}\p{N}]+/gu, ' ').trim();
      assert.ok(
        ` ${bare(`${title} ${text}`)} `.includes(` ${bare(cut.query)} `),
        `${cut.kind}: ${cut.query}`,
      );
      assert.ok(cut.query.length > 0);
      assert.equal(cutQuery({ title, text }, seed, rarity), cut);
    }),
    { numRuns: 300 },
  ));

test('all kinds come, the source is hidden for most, and lengths are those of queries', () => {
  const cuts = Array.from({ length: 2000 }, (_, seed) => cutQuery(source, seed, rarity)!);
  const of = (kind: string) => cuts.filter((cut) => cut.kind === kind);
  for (const kind of ['span', 'sentence', 'title', 'keyphrase'])
    assert.ok(of(kind).length > 100, `${of(kind).length} of ${kind}`);
  assert.equal(new Set(of('title').map(({ query }) => query)), new Set(['Wing flutter']));
  assert.ok(of('sentence').every(({ query }) => source.text.includes(query)));
  assert.ok(of('keyphrase').some(({ query }) => query === 'supersonic speed'));
  const hidden = cuts.filter(({ hidesSource }) => hidesSource).length / cuts.length;
  assert.ok(hidden > 0.55 && hidden < 0.65, `${hidden}`);
  const lengths = of('span').map(({ query }) => query.split(' ').length);
  assert.is(Math.min(...lengths), 2);
  assert.ok(Math.max(...lengths) <= 24);
  assert.ok(lengths.filter((length) => length <= 7).length > lengths.length * 0.4);
});

test('a passage without two words has no query', () => {
  for (const text of ['', 'word', '!!! ---', 'word ...'])
    assert.is(cutQuery({ title: '', text }, 1, rarity), undefined);
});

test.run();
