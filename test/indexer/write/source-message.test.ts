import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Metadata } from '../../../corpus/types.ts';
import type { IndexableSource } from '../../../indexer/types.ts';
import { packSources, unpackSources } from '../../../indexer/write/source-message.ts';
import { check } from '../../helpers/property.ts';

const test = suite('sources across threads');

const count = fc.nat({ max: 6 });
const metadata = fc
  .jsonValue({ maxDepth: 2 })
  .map((value) => JSON.parse(`{"__proto__":1,"m":${JSON.stringify(value)}}`) as Metadata);
const document = fc.record({
  terms: count,
  dense: fc.option(count),
  words: fc.array(fc.string()),
  subwords: fc.option(count),
  metadata,
});
const sources = fc.array(fc.record({ id: fc.string(), documents: fc.array(document) }));

function sourceOf({ id, documents }: { id: string; documents: readonly DocumentShape[] }): IndexableSource {
  return {
    id,
    contentHash: `hash ${id}`,
    documents: documents.map(({ terms, dense, words, subwords, metadata }, passage) => ({
      document: { id, passage, title: words.join(' '), text: id, metadata },
      vector: {
        termIds: Uint16Array.from({ length: terms }, (_, i) => 65_000 + i),
        weights: Float32Array.from({ length: terms }, (_, i) => 1 / (i + 3)),
      },
      words,
      ...(dense === null ? {} : { dense: { values: new Int8Array(dense).fill(-7), scale: 1 / 3 } }),
      ...(subwords === null ? {} : { subwordIds: Array.from({ length: subwords }, (_, i) => 30_000 + i) }),
    })),
  };
}

interface DocumentShape {
  terms: number;
  dense: number | null;
  words: string[];
  subwords: number | null;
  metadata: Metadata;
}

test('what a thread receives equals what was sent, whatever is empty or absent', async () => {
  await check(
    fc.property(sources, (shapes) => {
      const sent = shapes.map(sourceOf);
      const received = unpackSources(structuredClone(packSources(sent)));
      assert.equal(received, sent);
      // `equal` looks at prototypes, too, and not at who owns a name.
      assert.is(JSON.stringify(received), JSON.stringify(sent));
    }),
  );
});

test.run();
