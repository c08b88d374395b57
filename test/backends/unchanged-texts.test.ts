import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Model } from '../../encoder/model.ts';
import type { DocumentEncoder } from '../../encoder/types.ts';
import type { EmbeddedBackend } from '../../query/embedded/embedded-backend.ts';
import { SharedEncoders } from '../../query/embedded/encoder-source.ts';
import { openEmbedded } from '../../query/embedded/open-embedded.ts';
import { tempFolder } from '../helpers/temp-folder.ts';

const test = suite('unchanged texts');

/** Encoders that note what they were given. */
class NotingEncoders extends SharedEncoders {
  readonly texts: string[] = [];

  override async acquire(model: Model): Promise<DocumentEncoder> {
    const encoder = await super.acquire(model);
    return {
      ...encoder,
      backend: encoder.backend,
      encode: (texts, options) => {
        this.texts.push(...texts);
        return encoder.encode(texts, options);
      },
      close: () => encoder.close(),
    };
  }

  /** Texts since the last call. */
  taken(): string[] {
    return this.texts.splice(0);
  }
}

const source = (
  id: string,
  texts: readonly string[],
  metadata = {},
  contentHash = `${texts} ${JSON.stringify(metadata)}`,
) => ({
  id,
  contentHash,
  documents: texts.map((text) => ({ title: 'Sky', text, metadata })),
});

function vectorsOf(backend: EmbeddedBackend): Promise<object[]> {
  return backend.raw.reading(({ vectors }) =>
    Array.from(vectors(), ({ ref, vector }) => ({
      ref,
      termIds: [...vector.termIds],
      impacts: [...vector.impacts],
    })),
  );
}

test('a source whose metadata alone changed is not encoded again; of a changed one, the passages that are new', async () => {
  const encoders = new NotingEncoders({ threads: 0 });
  const backend = openEmbedded(tempFolder(), { create: true, threads: 0 }, encoders);
  await backend.write({
    upserts: [source('a', ['the sky is blue', 'the sea is green']), source('b', ['snow'])],
  });
  const before = await vectorsOf(backend);
  assert.is(encoders.taken().length, 3);

  await backend.updateMetadata('a', { seen: true });
  await backend.write({ upserts: [source('a', ['the sky is blue', 'the sea is green'], { year: 1 })] });
  assert.equal(encoders.taken(), []);
  const byRef = (list: object[]) => list.map((one) => JSON.stringify(one)).sort();
  assert.equal(byRef(await vectorsOf(backend)), byRef(before));
  // What was sent is what is stored, whatever a patch said before.
  assert.equal(backend.get('a')?.metadata, { year: 1 });

  await backend.write({ upserts: [source('a', ['the sea is red', 'the sky is blue', 'rain'])] });
  assert.equal(encoders.taken(), ['Sky the sea is red', 'Sky rain']);
  await backend.write({ upserts: [source('c', ['snow'])] });
  assert.equal(encoders.taken(), ['Sky snow'], 'texts of other sources are not looked for');
  assert.is(backend.search({ query: 'red sea', k: 1 }).hits[0]?.id, 'a');
  await backend.close();
});

test('a text without the vector that the index keeps is encoded again', async () => {
  const folder = tempFolder();
  const encoders = new NotingEncoders({ threads: 0 });
  const without = openEmbedded(folder, { create: true, threads: 0, vectors: false }, encoders);
  await without.write({ upserts: [source('a', ['the sky is blue'])] });
  await without.close();
  encoders.taken();
  const backend = openEmbedded(folder, { create: true, threads: 0 }, encoders);
  const { vectorSize } = backend.stats().settings;
  await backend.write({ upserts: [source('a', ['the sky is blue'], { year: 1 })] });
  assert.is(encoders.taken().length, vectorSize === undefined ? 0 : 1);
  await backend.write({ upserts: [source('a', ['the sky is blue'], { year: 2 })] });
  assert.equal(encoders.taken(), []);
  assert.is(backend.stats().withVectors, vectorSize === undefined ? 0 : 1);
  await backend.close();
});

test.run();
