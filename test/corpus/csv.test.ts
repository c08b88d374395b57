import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type CorpusOptions, openCorpus } from '../../corpus/open-corpus.ts';
import { assertLinear } from '../helpers/linear.ts';
import { check } from '../helpers/property.ts';
import { tempFolder } from '../helpers/temp-folder.ts';

const csv = suite('CSV and TSV');

const folder = tempFolder();
let files = 0;

/** Documents as `id|title|text`, errors as `line message`, and notices of a file of that content. */
async function read(content: string | Buffer, options: CorpusOptions = {}, name = 'table.csv') {
  const path = join(folder, `${files++}-${name}`);
  writeFileSync(path, content);
  const notices: string[] = [];
  const rows: string[] = [];
  const errors: string[] = [];
  const metadata: unknown[] = [];
  for await (const item of await openCorpus(path, {
    ...options,
    onNotice: ({ message }) => notices.push(message),
  })) {
    if ('error' in item) errors.push(`${item.location.line} ${item.error.message} (${item.error.hint})`);
    else {
      const { id, title, text } = item.document;
      rows.push(`${id}|${title}|${text}`);
      metadata.push(item.document.metadata);
    }
  }
  return { rows, errors, notices, metadata };
}

const utf16 = (text: string) => Buffer.from(text, 'utf16le');

csv(
  'tables as spreadsheets and programs write them are read, and each assumption is one notice',
  async () => {
    const cases: [name: string, content: string | Buffer, rows: string[], notices: RegExp[]][] = [
      [
        'semicolon.csv',
        'id;title;text\n1;Vulkan;Der Vulkan, er bricht aus\n',
        ['1|Vulkan|Der Vulkan, er bricht aus'],
        [/semicolons/],
      ],
      ['bars.csv', 'id|text\n1|a, b\n2|c; d\n', ['1||a, b', '2||c; d'], [/bars/]],
      ['tabs.csv', 'id\ttext\n1\ta, b\n', ['1||a, b'], [/tabs/]],
      ['comma.tsv', 'id,text\n1,a\tb\n', ['1||a\tb'], [/commas/]],
      ['sep.csv', 'sep=;\r\nid;title;text\r\n1;A;volcano\r\n', ['1|A|volcano'], []],
      [
        'cr.csv',
        'id,title,text\r1,A,volcano\r2,B,"two\nlines"\r',
        ['1|A|volcano', '2|B|two\nlines'],
        [/carriage return/],
      ],
      ['capitals.csv', 'ID,Title,Text\n1,A,volcano\n', ['1|A|volcano'], []],
      ['bodies.csv', '_ID,BODY\n1,volcano\n', ['1||volcano'], []],
      ['blanks.csv', '"id" , "text"\n"1", "wal, rus"\n 2 ,\tplain \n', ['1||wal, rus', '2||plain'], []],
      [
        'inch.csv',
        'id,text\n1,5" pipe fitting\n2,plain\n3,another 6" pipe, 7"\n'.replace(', 7"', ' 7"'),
        ['1||5" pipe fitting', '2||plain', '3||another 6" pipe 7"'],
        [],
      ],
      ['said.csv', 'id,text\n1,"Hello" he said\n2,plain\n', ['1||"Hello" he said', '2||plain'], []],
      ['quoted.tsv', 'id\ttitle\ttext\n1\tA\t"two\nlines"\n', ['1|A|two\nlines'], [/quoted fields/]],
      ['all-quoted.tsv', '"id"\t"text"\n"1"\t"a ""b"""\n', ['1||a "b"'], [/quoted fields/]],
      [
        'plain.tsv',
        'id\ttext\n1\t"hi\n2\tsays "hi" to\n3\t"a" and "b\n',
        ['1||"hi', '2||says "hi" to', '3||"a" and "b'],
        [],
      ],
      ['latin1.csv', Buffer.from('id,text,\xe9tat\n1,caf\xe9,x\n', 'latin1'), ['1||café'], [/Windows-1252/]],
      [
        'euro.csv',
        Buffer.concat([
          Buffer.from(`id,text\n${'1,plain\n'.repeat(20_000)}2,5 `),
          Buffer.of(0x80),
          Buffer.from(' only\n'),
        ]),
        [],
        [/Windows-1252/],
      ],
      ['utf16.csv', utf16('\ufeffid,title,text\r\n1,A,Ωmega\r\n'), ['1|A|Ωmega'], [/UTF-16LE/]],
      ['utf16-bare.csv', utf16('id,text\n1,volcano\n'), ['1||volcano'], [/UTF-16LE/]],
      [
        'utf16be.csv',
        utf16('\ufeffid;text\n1;volcano\n').swap16(),
        ['1||volcano'],
        [/UTF-16BE/, /semicolons/],
      ],
      ['rows-of-nothing.csv', 'id;text;\n1;a;\n;;\n;;\n', ['1||a'], [/semicolons/]],
      ['utf8.csv', '\ufeffid,text\n1,café Ω\n', ['1||café Ω'], []],
    ];
    for (const [name, content, rows, notices] of cases) {
      const found = await read(content, {}, name);
      assert.equal(found.errors, [], name);
      if (rows.length > 0) assert.equal(found.rows, rows, name);
      else assert.is(found.rows.at(-1), '2||5 € only', name);
      assert.is(found.notices.length, notices.length, `${name}: ${found.notices}`);
      notices.forEach((notice, i) => {
        assert.match(found.notices[i]!, notice, name);
      });
    }
  },
);

csv('options overrule what is detected', async () => {
  const semicolons = 'id;text\n1;a\n';
  assert.match((await read(semicolons, { delimiter: ',' })).errors[0]!, /the header has no id/);
  const quoted = 'id\ttext\n1\t"a"\n2\t"b"\n';
  assert.equal((await read(quoted, { quotes: false }, 't.tsv')).rows, ['1||"a"', '2||"b"']);
  assert.equal((await read('id,text\n1,"a\n2,b"\n', { quotes: false })).rows, ['1||"a', '2||b"']);
  const polish = Buffer.from([...Buffer.from('id,text\n1,'), 0xb1, 10]);
  assert.equal((await read(polish, { encoding: 'iso-8859-2' })).rows, ['1||ą']);
  assert.equal((await read(Buffer.from('id,text\n1,\xe9\n2,ok\n', 'latin1'), { encoding: 'utf-8' })).rows, [
    '2||ok',
  ]);
  // One broken byte among many sound ones is damage, not another encoding.
  const damaged = Buffer.concat([
    Buffer.from('id,text\n1,é è ç à\n2,'),
    Buffer.of(0xff),
    Buffer.from('\n3,ok\n'),
  ]);
  const { rows, errors } = await read(damaged);
  assert.equal(rows, ['1||é è ç à', '3||ok']);
  assert.match(errors[0]!, /^3 the line is not valid UTF-8/);
});

csv(
  'a header that cannot be used is one error with the columns found and the options, and no row becomes the header',
  async () => {
    const cases: [content: string | Buffer, message: RegExp, options?: CorpusOptions][] = [
      [
        'id,"title,text\nid,x,text\nA,y,volcano\n',
        /^1 the header cannot be read: a quoted field is never closed.*--no-quotes/,
      ],
      [
        `id,${'x'.repeat(300)},text\nid,title,text\n1,a,b\n`,
        /^1 the header cannot be read: the line has .*--/,
        { maxLineBytes: 100 },
      ],
      [
        Buffer.from('id,\xff\xfe,text\nid,title,text\n1,a,b\n', 'latin1'),
        /^1 the header cannot be read: the line is not valid UTF-8.*--encoding/,
        { encoding: 'utf-8' },
      ],
      [
        'nr,inhalt\n1,a\n2,b\n',
        /^1 the header has no id \(_id, id\) and no text \(text, contents, body\): the columns are "nr", "inhalt" \(.*--id-column and --text-column.*--delimiter/,
      ],
      ['id,inhalt\n1,a\n2,b\n', /^1 the header has no text .*"id", "inhalt"/],
      ['id,text,ID,text\n1,a,2,b\n', /^1 the header names the column "text" twice/],
    ];
    for (const [content, message, options] of cases) {
      const { rows, errors } = await read(content, options);
      assert.equal(rows, []);
      assert.is(errors.length, 1, errors.join('\n'));
      assert.match(errors[0]!, message);
    }
    const named = await read('nr,inhalt\n1,a\n', { idField: 'nr', textField: 'inhalt' });
    assert.equal(named.rows, ['1||a']);
  },
);

csv(
  'cells become what the index declares; without a declaration only numbers that print back the same',
  async () => {
    const table = 'id,text,year,price,ok,code,note,note\n1,a,2024,1.50,TRUE,007,x,y\n';
    assert.equal((await read(table)).metadata, [
      { year: 2024, price: '1.50', ok: 'TRUE', code: '007', note: 'x', note_2: 'y' },
    ]);
    const fieldTypes = { year: 'text', price: 'number', ok: 'boolean', code: 'number' } as const;
    assert.equal((await read(table, { fieldTypes })).metadata, [
      { year: '2024', price: 1.5, ok: true, code: 7, note: 'x', note_2: 'y' },
    ]);
    const long = 'id,text,n\n12345678901234567890,a,98765432109876543210\n';
    const found = await read(long);
    assert.equal(
      [found.rows, found.metadata],
      [['12345678901234567890||a'], [{ n: '98765432109876543210' }]],
    );
  },
);

csv('whatever a table of strings holds, it comes back from its RFC 4180 form in each dialect', async () => {
  const cell = fc
    .string({ unit: fc.constantFrom('a', 'é', '"', ',', ';', '\t', '|', '\n', ' ', '5"'), maxLength: 8 })
    .map((text) => text.trim());
  const quote = (text: string) => `"${text.replaceAll('"', '""')}"`;
  await check(
    fc.asyncProperty(
      fc.array(
        cell.filter((text) => text !== ''),
        { minLength: 1, maxLength: 8 },
      ),
      fc.constantFrom(',', ';', '\t', '|'),
      fc.constantFrom('\n', '\r\n'),
      async (texts, delimiter, end) => {
        const lines = texts.map((text, i) => [String(i), text].map(quote).join(delimiter));
        const { rows, errors } = await read(['id', 'text'].join(delimiter) + end + lines.join(end), {
          quotes: true,
        });
        assert.equal(errors, []);
        assert.equal(
          rows,
          texts.map((text, i) => `${i}||${text}`),
        );
      },
    ),
    { numRuns: 200 },
  );
});

csv('reading takes time in proportion to the text, whatever the quotes', async () => {
  const shapes: Record<string, (n: number) => string> = {
    'stray opening quotes': (n) => `id,text\n${'1,"a\n'.repeat(n)}`,
    'one quote never closed': (n) => `id,text\n1,"a\n${'2,b\n'.repeat(n)}`,
    'quotes in the middle': (n) => `id,text\n${'1,a"b"c""d\n'.repeat(n)}`,
    'one long quoted field': (n) => `id,text\n1,"${'a""\n'.repeat(n)}"\n`,
    'one long line of blanks': (n) => `id,text\n1,"a"${' '.repeat(6 * n)}b\n`,
    'delimiters alone': (n) => `id,text\n${',,,,,,\n'.repeat(n)}`,
    'text after closing quotes': (n) => `id,text\n${'1,"a" b,"c\n'.repeat(n)}`,
  };
  await assertLinear(shapes, 3000, (text) => read(text));
});

csv.run();
