import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readQrels, readQueries } from '../../corpus/beir.ts';
import {
  parseJsonObject,
  type ReadItem,
  type RowReaderOptions,
  readJsonlStream,
} from '../../corpus/jsonl.ts';
import { openCorpus } from '../../corpus/open-corpus.ts';
import { assertLinear } from '../helpers/linear.ts';
import { check } from '../helpers/property.ts';
import { tempFolder } from '../helpers/temp-folder.ts';

const jsonl = suite('JSON Lines');

async function rows(text: string | Buffer, options?: RowReaderOptions): Promise<ReadItem[]> {
  const items: ReadItem[] = [];
  for await (const item of readJsonlStream(Readable.from([Buffer.from(text)]), 'rows', options))
    items.push(item);
  return items;
}

const idOf = (item: ReadItem | undefined) => (item && 'document' in item ? item.document.id : undefined);

jsonl(
  'integers beyond 2^53 keep their digits as ids and metadata, in rows, queries and judgements',
  async () => {
    const [first, second] = await rows(
      '{"id":12345678901234567890,"text":"a 12345678901234567890","n":-98765432109876543210,"list":["9007199254740993"],"x":0.12345678901234567890,"safe":9007199254740991,"e":1e21}\n{"_id":12345678901234567891,"text":"b"}',
    );
    assert.equal('document' in first! && first.document, {
      id: '12345678901234567890',
      title: '',
      text: 'a 12345678901234567890',
      metadata: {
        n: '-98765432109876543210',
        list: ['9007199254740993'],
        x: 0.12345678901234568,
        safe: 9007199254740991,
        e: 1e21,
      },
    });
    assert.is(idOf(second), '12345678901234567891');
    const folder = tempFolder();
    writeFileSync(join(folder, 'q.jsonl'), '{"_id":12345678901234567890,"text":"q"}\n');
    writeFileSync(join(folder, 'q.tsv'), 'a\tb\tscore\n12345678901234567890\t12345678901234567891\t1\n');
    assert.is((await readQueries(join(folder, 'q.jsonl')))[0]!.id, '12345678901234567890');
    assert.is(
      (await readQrels(join(folder, 'q.tsv'))).get('12345678901234567890')!.get('12345678901234567891'),
      1,
    );
  },
);

jsonl('a row parses as JSON.parse does, but for integers that are no exact double', async () => {
  // The reference: JSON whose long integers are strings already.
  const leaf = fc.oneof(
    fc.bigInt({ min: -(10n ** 25n), max: 10n ** 25n }),
    fc.integer(),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.string({ unit: fc.constantFrom('"', '\\', '1234567890123456789', '-', ':', 'é', ',') }),
    fc.constant(null),
    fc.boolean(),
  );
  const value = fc.oneof(
    leaf,
    fc.array(leaf, { maxLength: 4 }),
    fc.dictionary(fc.string({ maxLength: 4 }), leaf, { maxKeys: 4 }),
  );
  const write = (one: unknown, quoted: boolean): string => {
    if (typeof one === 'bigint')
      return quoted && String(Number(one)) !== String(one) ? `"${one}"` : String(one);
    if (Array.isArray(one)) return `[${one.map((inner) => write(inner, quoted)).join(', ')}]`;
    if (typeof one === 'object' && one !== null)
      return `{${Object.entries(one)
        .map(([name, inner]) => `${JSON.stringify(name)} :${write(inner, quoted)}`)
        .join(',')}}`;
    return JSON.stringify(one);
  };
  await check(
    fc.property(fc.dictionary(fc.string({ maxLength: 4 }), value, { maxKeys: 5 }), (row) => {
      assert.equal(parseJsonObject(write(row, false)), JSON.parse(write(row, true)));
    }),
    { numRuns: 500 },
  );
});

jsonl('an alias that is null does not hide the next one', async () => {
  const found = await rows(
    '{"_id":null,"id":"a","text":null,"contents":null,"body":"b"}\n{"_id":null,"text":"x"}\n{"_id":"both","id":"c","text":"t","body":"u"}',
  );
  assert.equal('document' in found[0]! && [found[0].document.id, found[0].document.text], ['a', 'b']);
  assert.ok('error' in found[1]! && /no id/.test(found[1].error.message));
  assert.is(idOf(found[2]), 'both');
});

jsonl('an unreadable row names the document it was about, where its text shows one', async () => {
  const cases: [row: string, unread: unknown][] = [
    ['{"_id":"a","text":"cut', { id: 'a' }],
    ['{"id": 12345678901234567890, "text": oops}', { id: '12345678901234567890' }],
    ['{"_id":"a\\u0020b","text":5}', { id: 'a b' }],
    ['{"x":{"id":"b"},"_id":"a",', { all: true }],
    ['{broken', { all: true }],
    ['{"text":"no id at all"}', undefined],
    ['{"_id":"e","text":" "}', { id: 'e' }],
    [`{"_id":"long","text":"${'x'.repeat(200)}"}`, { id: 'long' }],
  ];
  for (const [row, unread] of cases) {
    const [item] = await rows(row, { maxLineBytes: 100 });
    assert.ok(item && 'error' in item, row);
    assert.equal('unread' in item ? item.unread : undefined, unread, row);
  }
});

jsonl(
  'files: hints name options of the command line; UTF-16 and lone carriage returns are detected',
  async () => {
    const file = join(tempFolder(), 'rows.jsonl');
    const read = async (content: string | Buffer) => {
      writeFileSync(file, content);
      const ids: string[] = [];
      const notices: string[] = [];
      let hint: string | undefined;
      const corpus = await openCorpus(file, {
        maxLineBytes: 60,
        onNotice: ({ message }) => notices.push(message),
      });
      for await (const item of corpus) {
        if ('error' in item) hint = item.error.hint;
        else ids.push(item.document.id);
      }
      return { ids, notices, hint };
    };
    assert.match((await read('{"text":"t"}')).hint!, /--id-column/);
    assert.match((await read('{"id":"t"}')).hint!, /--text-column/);
    assert.match((await read(`{"id":"t","text":"${'x'.repeat(60)}"}`)).hint!, /--max-line-bytes/);
    assert.match((await read(Buffer.from('{"id":"t","text":"\xe9"}', 'latin1'))).hint!, /--encoding/);
    const utf16 = await read(
      Buffer.from('\ufeff{"id":"a","text":"Ω"}\r\n{"id":"b","text":"x"}\r\n', 'utf16le'),
    );
    assert.equal(utf16.ids, ['a', 'b']);
    assert.match(utf16.notices[0]!, /UTF-16LE/);
    assert.equal((await read('{"id":"a","text":"x"}\r{"id":"b","text":"x"}\r')).ids, ['a', 'b']);
    const [item] = await rows('{"text":"t"}');
    assert.ok(item && 'error' in item && item.error.hint === undefined); // a request has no such options
    for (const row of [Buffer.from('\xe9', 'latin1'), 'x'.repeat(200)]) {
      const [unread] = await rows(row, { maxLineBytes: 100 });
      assert.ok(unread && 'error' in unread);
      assert.not.match(unread.error.hint!, /--/);
    }
  },
);

jsonl('reading takes time in proportion to the text', async () => {
  const shapes: Record<string, (n: number) => string> = {
    'long digits': (n) => `{"id":1,"text":"x","n":[${'12345678901234567890,'.repeat(n)}1]}`,
    'one run of digits': (n) => `{"id":1,"text":"x","n":${'1'.repeat(20 * n)}}`,
    'names of no numbers': (n) => `{"id":1,"text":"x","n":[${'NaN,-Infinity,'.repeat(n)}1]}`,
    'broken after many ids': (n) => `{${'"id":"a","_id" : "'.repeat(n)}`,
    backslashes: (n) => `{"id":"${'\\'.repeat(20 * n)}`,
    'blanks after the id': (n) => `{"id"${' '.repeat(20 * n)}x`,
    'many ids': (n) => `{${'"id" '.repeat(4 * n)}`,
    'nested brackets': (n) => `{"id":1,"text":${'['.repeat(10 * n)}`,
    'many short rows': (n) => '{"id":1}\n'.repeat(n),
    'blank lines': (n) => '\r\n'.repeat(5 * n),
  };
  await assertLinear(shapes, 5000, (text) => rows(text));
});

jsonl.run();
