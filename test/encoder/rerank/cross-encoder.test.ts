import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openModel } from '../../../encoder/model.ts';
import { createCrossEncoder, pairOf } from '../../../encoder/rerank/cross-encoder.ts';
import { openCrossEncoderModel } from '../../../encoder/rerank/model.ts';
import { CLS_ID, SEP_ID } from '../../../encoder/transformer/tokenizer/wordpiece.ts';
import { availableKernels } from '../../../kernels/index.ts';
import { crossEncoderFolder, randomCrossEncoder } from '../../helpers/cross-encoder-folder.ts';
import { check } from '../../helpers/property.ts';
import { messageOf } from '../../helpers/thrown.ts';
import { exactStates } from '../random-model.ts';

const test = suite('cross-encoder');

const TEXTS = [
  'The sky is blue because air scatters short wavelengths.',
  'An automobile is driven by an engine.',
  'Bread is baked from flour, water and yeast. '.repeat(12),
  '',
  'Volcanoes erupt. '.repeat(300),
].map((text, i) => ({ key: String(i), title: i % 2 ? 'Title' : '', text }));

test('a pair holds the query whole and as much of the passage as fits, with their types', async () => {
  await check(
    fc.property(
      fc.array(fc.integer({ min: 1000, max: 2000 }), { maxLength: 254 }),
      fc.array(fc.integer({ min: 1000, max: 2000 }), { maxLength: 600 }),
      (query, passage) => {
        const { ids, typeIds } = pairOf(query, Uint16Array.from(passage), 512);
        const kept = Math.min(passage.length, 512 - query.length - 3);
        assert.equal(
          [...(ids as Uint16Array)],
          [CLS_ID, ...query, SEP_ID, ...passage.slice(0, kept), SEP_ID],
        );
        const expected = [...Array(query.length + 2).fill(0), ...Array(kept + 1).fill(1)];
        assert.equal([...(typeIds as Uint8Array)], expected);
      },
    ),
  );
});

test('a logit depends on nothing but its pair: batched, split over threads, one by one, with and without the cache', async () => {
  for (const pooler of [false, true]) {
    const model = openCrossEncoderModel(crossEncoderFolder(3, {}, { pooler }));
    for (const backend of availableKernels().filter((one) => one !== 'reference')) {
      const encoders = [0, 1, 3].map((threads) => createCrossEncoder(model, { backend, threads }));
      const query = 'why is the sky blue';
      const expected = [...(await encoders[0]!.score(query, TEXTS))];
      assert.is(new Set(expected).size, TEXTS.length);
      for (const encoder of encoders) {
        assert.equal([...(await encoder.score(query, TEXTS))], expected);
        const single = [];
        for (const passage of [...TEXTS].reverse())
          single.unshift(...(await encoder.score(query, [passage])));
        assert.equal(single, expected);
        await encoder.close();
      }
    }
  }
});

test('logits are those of the definition', async () => {
  for (const pooler of [false, true]) {
    const seed = 5;
    const { config, tensors } = randomCrossEncoder(seed, { pooler });
    const model = openCrossEncoderModel(crossEncoderFolder(seed, {}, { pooler }));
    const encoder = createCrossEncoder(model, { threads: 0 });
    const query = 'blue sky';
    const passages = TEXTS.slice(0, 2);
    const found = await encoder.score(query, passages);
    passages.forEach(({ title, text }, i) => {
      const { ids, typeIds } = pairOf(
        model.tokenizer.encode(query),
        Uint16Array.from(model.tokenizer.encode(title ? `${title} ${text}` : text)),
        512,
      );
      const states = exactStates({ config, tensors }, Array.from(ids), Array.from(typeIds!));
      const linear = (name: string, row: number[]) => {
        const bias = tensors.get(`${name}.bias`)!.data;
        const weight = tensors.get(`${name}.weight`)!.data;
        return Array.from(bias, (offset, n) =>
          row.reduce((sum, value, k) => sum + value * weight[n * row.length + k]!, offset),
        );
      };
      const pooled = pooler ? linear('bert.pooler.dense', states[0]!).map(Math.tanh) : states[0]!;
      const [exact] = linear('classifier', pooled);
      assert.ok(Math.abs(found[i]! - exact!) < 0.1, `${found[i]} is not ${exact}`);
    });
    await encoder.close();
  }
});

test('an aborted call throws the reason, and the encoder goes on', async () => {
  const encoder = createCrossEncoder(openCrossEncoderModel(crossEncoderFolder(3)), { threads: 1 });
  const reason = new Error('nobody waits');
  const gone = new AbortController();
  const scoring = encoder.score('sky', TEXTS, { signal: gone.signal });
  gone.abort(reason);
  try {
    await scoring;
    assert.unreachable();
  } catch (error) {
    assert.is(error, reason);
  }
  assert.is((await encoder.score('sky', TEXTS)).length, TEXTS.length);
  await encoder.close();
});

test('folders that hold no cross-encoder are refused with the way out', () => {
  assert.match(
    messageOf(() => openCrossEncoderModel('/nowhere')),
    /^WINNOW_MODEL_NOT_FOUND no reranker/,
  );
  assert.match(
    messageOf(() => openCrossEncoderModel(openModel().folder)),
    /^WINNOW_MODEL_INVALID the model is no cross-encoder/,
  );
  for (const wrong of [{ mix: 2 }, { depth: 0 }, { relevance: { slope: 1 } }])
    assert.match(
      messageOf(() => openCrossEncoderModel(crossEncoderFolder(1, wrong))),
      /^WINNOW_MODEL_INVALID .*out of range/,
    );
  assert.match(
    messageOf(() => openModel(crossEncoderFolder(1))),
    /^WINNOW_MODEL/,
  );
});

test.run();
