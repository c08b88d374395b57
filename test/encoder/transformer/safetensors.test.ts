import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readSafetensors } from '../../../encoder/transformer/safetensors.ts';
import type { WinnowError } from '../../../errors.ts';

const test = suite('safetensors');
const invalid = (error: WinnowError) => error.code === 'WINNOW_MODEL_INVALID';

function safetensors(
  tensors: Record<string, { dtype: string; shape: number[]; data: ArrayBufferView; bytes?: number }>,
): Buffer {
  const header: Record<string, object> = {};
  const parts: Buffer[] = [];
  let end = 0;
  for (const [name, { dtype, shape, data, bytes = data.byteLength }] of Object.entries(tensors)) {
    header[name] = { dtype, shape, data_offsets: [end, end + bytes] };
    parts.push(Buffer.from(data.buffer, data.byteOffset, data.byteLength));
    end += data.byteLength;
  }
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json, ...parts]);
}

test('floats of 16 and 32 bits are read alike, matrices as int8 with a scale per row', () => {
  // 1, -2, 0.5, 0 in each type.
  const vectors = {
    f32: { dtype: 'F32', shape: [4], data: Float32Array.of(1, -2, 0.5, 0) },
    f16: { dtype: 'F16', shape: [4], data: Uint16Array.of(0x3c00, 0xc000, 0x3800, 0) },
    bf16: { dtype: 'BF16', shape: [4], data: Uint16Array.of(0x3f80, 0xc000, 0x3f00, 0) },
  };
  for (const [name, tensor] of readSafetensors(safetensors(vectors), 'test')) {
    assert.equal(tensor, { dtype: 'f32', shape: [4], data: Float32Array.of(1, -2, 0.5, 0) }, name);
  }
  const matrix = { dtype: 'F32', shape: [2, 2], data: Float32Array.of(1, -2, 0, 0) };
  assert.equal(readSafetensors(safetensors({ matrix }), 'test').get('matrix'), {
    dtype: 'i8',
    shape: [2, 2],
    data: Int8Array.of(64, -127, 0, 0),
    scales: Float32Array.of(2 / 127, 0),
  });
});

test('int8 rows with their scales are kept unchanged', () => {
  const scales = Float32Array.of(0.5, 0.25);
  const file = safetensors({
    m: { dtype: 'I8', shape: [2, 3], data: Int8Array.of(1, -2, 3, 4, -5, 127) },
    'm.scale': { dtype: 'F32', shape: [2], data: scales },
  });
  const read = readSafetensors(file, 'test');
  assert.is(read.size, 1);
  assert.equal(read.get('m'), {
    dtype: 'i8',
    shape: [2, 3],
    data: Int8Array.of(1, -2, 3, 4, -5, 127),
    scales,
  });
});

test('a damaged file or an unknown type is refused with a code', () => {
  const data = Float32Array.of(1, 2, 3, 4);
  const good = safetensors({ v: { dtype: 'F32', shape: [4], data } });
  const json = Buffer.from(good);
  json[8] = 120;
  for (const bad of [
    Buffer.alloc(0),
    good.subarray(0, 12),
    good.subarray(0, good.length - 1),
    json,
    safetensors({ v: { dtype: 'F64', shape: [2], data } }),
    safetensors({ v: { dtype: 'F32', shape: [5], data } }),
    safetensors({ v: { dtype: 'F32', shape: [4], data, bytes: 20 } }),
    safetensors({ v: { dtype: 'I8', shape: [4, 4], data } }),
  ])
    assert.throws(() => readSafetensors(bad, 'test'), invalid);
});

test.run();
