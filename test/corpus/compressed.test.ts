import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateRawSync } from 'node:zlib';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readBeirTopics } from '../../corpus/beir.ts';
import { type CorpusOptions, openCorpus } from '../../corpus/open-corpus.ts';
import { listZip } from '../../corpus/zip.ts';
import { WinnowError } from '../../errors.ts';

const compressed = suite('compressed corpora');
let folder: string;
compressed.before(() => {
  folder = mkdtempSync(join(tmpdir(), 'winnow-zip-'));
});
compressed.after(() => rmSync(folder, { recursive: true }));

/** A ZIP archive in memory; `wide` writes the sizes and offsets as ZIP64 does, `comment` ends the file. */
function zip(
  files: readonly { name: string; text: string; stored?: boolean }[],
  { wide = false, comment = '' } = {},
): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const { name, text, stored = false } of files) {
    const plain = Buffer.from(text);
    const packed = stored ? plain : deflateRawSync(plain);
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(name.length, 26);
    parts.push(local, Buffer.from(name), packed);
    const extra = Buffer.alloc(wide ? 28 : 0);
    const central = Buffer.alloc(46);
    central.writeUInt32LE(0x02014b50, 0);
    central.writeUInt16LE(stored ? 0 : 8, 10);
    central.writeUInt32LE(wide ? 0xffffffff : packed.length, 20);
    central.writeUInt32LE(wide ? 0xffffffff : plain.length, 24);
    central.writeUInt16LE(name.length, 28);
    central.writeUInt16LE(extra.length, 30);
    central.writeUInt32LE(wide ? 0xffffffff : offset, 42);
    if (wide) {
      extra.writeUInt16LE(1, 0);
      extra.writeUInt16LE(24, 2);
      extra.writeBigUInt64LE(BigInt(plain.length), 4);
      extra.writeBigUInt64LE(BigInt(packed.length), 12);
      extra.writeBigUInt64LE(BigInt(offset), 20);
    }
    directory.push(central, Buffer.from(name), extra);
    offset += 30 + name.length + packed.length;
  }
  const listing = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt32LE(listing.length, 12);
  end.writeUInt32LE(wide ? 0xffffffff : offset, 16);
  end.writeUInt16LE(comment.length, 20);
  const tail: Buffer[] = [];
  if (wide) {
    const record = Buffer.alloc(56);
    record.writeUInt32LE(0x06064b50, 0);
    record.writeBigUInt64LE(BigInt(listing.length), 40);
    record.writeBigUInt64LE(BigInt(offset), 48);
    const locator = Buffer.alloc(20);
    locator.writeUInt32LE(0x07064b50, 0);
    locator.writeBigUInt64LE(BigInt(offset + listing.length), 8);
    tail.push(record, locator);
  }
  return Buffer.concat([...parts, listing, ...tail, end, Buffer.from(comment)]);
}

const BEIR = [
  { name: 'tiny/corpus.jsonl', text: '{"_id":"d1","text":"one"}\n{"_id":"d2","text":"two"}\n' },
  { name: 'tiny/queries.jsonl', text: '{"_id":"q1","text":"query"}\n', stored: true },
  { name: 'tiny/qrels/test.tsv', text: 'query-id\tcorpus-id\tscore\nq1\td1\t1\n' },
];

async function ids(path: string, options?: CorpusOptions) {
  const found: string[] = [];
  for await (const item of await openCorpus(path, options))
    found.push('document' in item ? item.document.id : item.error.code);
  return found;
}

compressed("BEIR's archive is read without unpacking it, with ZIP64 fields and a comment too", async () => {
  for (const options of [{}, { wide: true }, { comment: 'made by a test' }]) {
    const path = join(folder, 'tiny.zip');
    writeFileSync(path, zip(BEIR, options));
    assert.equal(await ids(path), ['d1', 'd2']);
    const { name, queries, qrels } = await readBeirTopics(path);
    assert.is(name, 'tiny');
    assert.equal(queries, [{ id: 'q1', text: 'query' }]);
    assert.is(qrels.get('q1')!.get('d1'), 1);
  }
});

compressed('damaged archives are refused by name, never read past their end', async () => {
  const whole = zip(BEIR);
  const path = join(folder, 'bad.zip');
  const attempt = async (bytes: Buffer) => {
    writeFileSync(path, bytes);
    try {
      return await ids(path);
    } catch (error) {
      assert.instance(error, WinnowError);
      return [(error as WinnowError).code];
    }
  };
  assert.equal(await attempt(whole.subarray(0, 60)), ['WINNOW_BAD_ROW']);
  assert.equal(await attempt(Buffer.alloc(0)), ['WINNOW_BAD_ROW']);
  const badHeader = Buffer.from(whole);
  badHeader[0] = 0;
  assert.equal(await attempt(badHeader), ['WINNOW_BAD_ROW']);
  assert.equal(await attempt(zip(BEIR.slice(1))), ['WINNOW_NOT_FOUND']);
  // Every single damaged byte gives a coded answer or the right one.
  for (let at = 0; at < whole.length; at++) {
    const damaged = Buffer.from(whole);
    damaged[at]! ^= 0xff;
    const found = await attempt(damaged);
    assert.ok(found.length <= 3, `byte ${at}: ${found}`);
  }
  assert.is((await listZip(join(folder, 'tiny.zip'))).length, 3);
});

compressed('.xz is undone on the way, and damage is an error item', async () => {
  // printf '{"_id":"a","text":"packed"}\n{"_id":"b","text":"packed too"}\n' | xz | base64
  const packed = Buffer.from(XZ, 'base64');
  const path = join(folder, 'rows.jsonl.xz');
  writeFileSync(path, packed);
  assert.equal(await ids(path), ['a', 'b']);
  const damaged = Buffer.from(packed);
  damaged[40]! ^= 0xff;
  writeFileSync(path, damaged);
  assert.is((await ids(path)).at(-1), 'WINNOW_BAD_ROW');
  writeFileSync(path, packed.subarray(0, 50));
  assert.is((await ids(path)).at(-1), 'WINNOW_BAD_ROW');
});

const XZ =
  '/Td6WFoAAATm1rRGAgAhARYAAAB0L+Wj4AA7ACtdAD2Ih+aTWs408ko8UZJa55BAl1xeO+bEDwtFIwZpNUJupVDbrML8jvlKBAAAAIfVDR/3FfFnAAFHPG4Q0bAftvN9AQAAAAAEWVo=';

compressed.run();
