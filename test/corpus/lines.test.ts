import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { decodeUtf8, readLines } from '../../corpus/lines.ts';

async function* chunked(bytes: Buffer, sizes: number[]): AsyncGenerator<Buffer> {
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length]!;
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

test('lines, offsets and sizes equal those of a plain split, however the stream is chunked', async () => {
  const text = fc.array(fc.constantFrom('a', 'bb', '\n', '\r\n', '\r', 'é', 'longer words'), {
    maxLength: 40,
  });
  await fc.assert(
    fc.asyncProperty(
      text,
      fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }),
      async (parts, sizes) => {
        const bytes = Buffer.from(parts.join(''));
        const limit = 8;
        const expected: { offset: number; text: string }[] = [];
        let offset = 0;
        const whole = bytes.toString('latin1').split('\n');
        for (const [i, piece] of whole.entries()) {
          if (i < whole.length - 1 || piece !== '') expected.push({ offset, text: piece.replace(/\r$/, '') });
          offset += piece.length + 1;
        }
        let count = 0;
        for await (const found of readLines(chunked(bytes, sizes), limit)) {
          const want = expected[count++]!;
          assert.is(found.line, count);
          assert.is(found.offset, want.offset);
          if (want.text.length <= limit) assert.is(found.bytes!.toString('latin1'), want.text);
          else assert.is(found.bytes, undefined);
          assert.ok(found.sizeBytes - want.text.length <= 1);
        }
        assert.is(count, expected.length);
      },
    ),
    { numRuns: 300, verbose: 1 },
  );
});

test('bytes that are not UTF-8 give undefined, a byte order mark is dropped', () => {
  assert.is(decodeUtf8(Buffer.from([0xc3, 0x28])), undefined);
  assert.is(decodeUtf8(Buffer.from('\ufeffa')), 'a');
});

test.run();
