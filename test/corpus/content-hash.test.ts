import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { contentHash } from '../../corpus/content-hash.ts';
import { toMetadata } from '../../corpus/document-row.ts';
import type { Metadata } from '../../corpus/types.ts';
import type { WinnowError } from '../../errors.ts';

const test = suite('content hash');

const hash = (metadata: unknown) => contentHash({ text: 't', metadata: metadata as Metadata });

test('is that of the content, whatever the order of names, also of nested ones', () => {
  assert.is(hash({ a: 1, b: { c: [1, { d: 2, e: 3 }] } }), hash({ b: { c: [1, { e: 3, d: 2 }] }, a: 1 }));
  assert.is.not(hash({ a: [1, 2] }), hash({ a: [2, 1] }));
  assert.is.not(hash({ a: { b: 1 } }), hash({ a: { b: 2 } }));
  assert.is.not(hash(JSON.parse('{"__proto__":1}')), hash({}));
  assert.is(contentHash({ text: 't' }), contentHash({ title: '', text: 't', metadata: {} }));
  // Indexes hold hashes of earlier runs: flat metadata must keep its.
  assert.is(
    contentHash({ title: 'a', text: 'b', metadata: { z: 1, a: [1, 2], __proto__x: 1 } }),
    '3372e6df31ab206a1172423ab308da29',
  );
});

test('metadata that is no JSON is a coded error', () => {
  const loop: Record<string, unknown> = {};
  loop.again = loop;
  for (const metadata of [{ big: 1n }, loop])
    assert.throws(
      () => hash(metadata),
      (error: WinnowError) => error.code === 'WINNOW_BAD_ROW',
    );
});

test('a row whose metadata nests too deep costs only itself', () => {
  const deep = (levels: number) => JSON.parse(`${'['.repeat(levels)}${']'.repeat(levels)}`);
  assert.ok(toMetadata([['a', deep(63)]]));
  for (const levels of [64, 100_000])
    assert.throws(() => toMetadata([['a', deep(levels)]]), /"a" nests deeper than 64 levels/);
});

test.run();
