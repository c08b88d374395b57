import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type CorpusItem,
  type CorpusOptions,
  openCorpus,
  type RepeatedId,
} from '../../corpus/open-corpus.ts';
import type { CorpusDocument } from '../../corpus/types.ts';
import { WinnowError } from '../../errors.ts';

const corpus = suite('openCorpus');
let folder: string;
corpus.before(() => {
  folder = mkdtempSync(join(tmpdir(), 'winnow-corpus-'));
});
corpus.after(() => rmSync(folder, { recursive: true }));

function write(name: string, content: string | Buffer): string {
  const path = join(folder, name);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, content);
  return path;
}

async function read(path: string, options?: CorpusOptions) {
  const opened = await openCorpus(path, options);
  const items: CorpusItem[] = [];
  for await (const item of opened) items.push(item);
  const documents = items.flatMap((item) => ('document' in item ? [item.document] : []));
  const errors = items.flatMap((item) =>
    'error' in item ? [`${item.location.line} ${item.error.code} ${item.error.message}`] : [],
  );
  return { items, documents, errors, progress: opened.progress, format: opened.format };
}

async function failure(promise: Promise<unknown>): Promise<WinnowError> {
  try {
    await promise;
  } catch (error) {
    assert.instance(error, WinnowError);
    return error as WinnowError;
  }
  throw new Error('expected an error');
}

corpus(
  'a BEIR folder gives its documents; all extra fields and the metadata object become metadata',
  async () => {
    write(
      'beir/corpus.jsonl',
      [
        '{"_id":"d1","title":"One","text":"first","metadata":{"year":1999,"tags":["a","b"],"deep":{"x":1}},"lang":"en"}',
        '{"id":2,"contents":"second","ok":true,"none":null}',
        '{"_id":"d3","title":"only a title","text":""}',
      ].join('\r\n'),
    );
    const { documents, errors, format, progress } = await read(join(folder, 'beir'));
    assert.is(format, 'beir');
    assert.equal(errors, []);
    assert.equal(documents, [
      {
        id: 'd1',
        title: 'One',
        text: 'first',
        metadata: { lang: 'en', year: 1999, tags: ['a', 'b'], deep: { x: 1 } },
      },
      { id: '2', title: '', text: 'second', metadata: { ok: true, none: null } },
      { id: 'd3', title: 'only a title', text: '', metadata: {} },
    ]);
    assert.is(progress.bytesRead, progress.bytesTotal);
    assert.is(progress.documents, 3);
  },
);

corpus('every bad row is reported with its line and the rest is read', async () => {
  const file = write(
    'bad.jsonl',
    Buffer.concat([
      Buffer.from('{"_id":"a","text":"fine"}\n{broken\n[1]\n{"_id":"b"}\n{"_id":"c","text":"  "}\n'),
      Buffer.from(
        '{"_id":"d","text":5}\n{"text":"no id"}\n{"_id":"a","text":"again"}\n{"_id":{},"text":"x"}\n',
      ),
      Buffer.from('{"_id":"e","text":"\xff"}\n', 'latin1'),
      Buffer.from(`{"_id":"f","text":"${'x'.repeat(300)}"}\n\n{"_id":"g","text":"last"}`),
    ]),
  );
  const { documents, errors } = await read(file, { maxLineBytes: 200 });
  assert.equal(
    documents.map(({ id }) => id),
    ['a', 'a', 'g'],
  );
  assert.is(documents[1]!.text, 'again');
  const codes = errors.map((error) => error.split(' ').slice(0, 2).join(' '));
  assert.equal(codes, [
    '2 WINNOW_BAD_ROW',
    '3 WINNOW_BAD_ROW',
    '4 WINNOW_BAD_ROW',
    '5 WINNOW_EMPTY_TEXT',
    '6 WINNOW_BAD_ROW',
    '7 WINNOW_BAD_ROW',
    '9 WINNOW_BAD_ROW',
    '10 WINNOW_BAD_ROW',
    '11 WINNOW_ROW_TOO_LONG',
  ]);
  const repeated: RepeatedId[] = [];
  await read(file, { maxLineBytes: 200, onRepeatedId: (one) => repeated.push(one) });
  assert.equal(repeated, [{ id: 'a', earlier: { file, line: 1 }, later: { file, line: 8 } }]);
  const twice = write('twice.jsonl', '{"_id":"a","text":"x"}\n{"_id":"a","text":"y"}\n');
  const strict = await failure(read(twice, { strict: true }));
  assert.is(strict.place, `${twice}:2`);
  assert.match(strict.message, /already used on line 1/);
});

corpus('a 12 MB line is reported without being held, and strict stops at the first bad row', async () => {
  const file = write(
    'long.jsonl',
    `{"_id":"a","text":"${'y'.repeat(12_000_000)}"}\n{"_id":"b","text":"ok"}\n`,
  );
  const { documents, errors } = await read(file);
  assert.equal(
    documents.map(({ id }) => id),
    ['b'],
  );
  assert.match(errors[0]!, /WINNOW_ROW_TOO_LONG the line has 12000021 bytes, the limit is 10000000/);
  assert.is((await failure(read(file, { strict: true }))).code, 'WINNOW_ROW_TOO_LONG');
});

corpus('an id may have 512 bytes', async () => {
  const rows = [512, 513].map((length) =>
    JSON.stringify({ _id: 'é'.repeat(length >> 1) + 'x'.repeat(length & 1), text: 't' }),
  );
  const { documents, errors } = await read(write('ids.jsonl', rows.join('\n')));
  assert.is(documents.length, 1);
  assert.match(errors[0]!, /^2 WINNOW_BAD_ROW the id is 513 bytes long, at most 512 are allowed/);
});

corpus('names of fields can be given, and ids made up on request', async () => {
  const file = write('named.ndjson', '{"key":"k","headline":"H","article":"A","n":1,"m":2}\n');
  const { documents } = await read(file, {
    idField: 'key',
    titleField: 'headline',
    textField: 'article',
    metadataFields: ['m'],
  });
  assert.equal(documents, [{ id: 'k', title: 'H', text: 'A', metadata: { m: 2 } }]);
  const generated = await read(write('noid.jsonl', '{"text":"t"}\n'), { generateIds: true });
  assert.is(generated.documents[0]!.id, 'line-1');
});

corpus("Python's NaN and Infinity count as null, inside strings they stay", async () => {
  const file = write(
    'python.jsonl',
    '{"_id":"a","text":"is \\"NaN\\" and Infinity","x":NaN,"y":[1,-Infinity],"z":2}\n{"_id":NaN,"text":"t"}\n{"_id":NaN',
  );
  const { documents, errors } = await read(file);
  assert.equal(documents, [
    { id: 'a', title: '', text: 'is "NaN" and Infinity', metadata: { x: null, y: [1, null], z: 2 } },
  ]);
  assert.match(errors[0]!, /^2 WINNOW_BAD_ROW no id/);
  assert.match(errors[1]!, /^3 WINNOW_BAD_ROW not JSON/);
});

corpus('CSV: quotes, line ends inside fields, numbers, wrong field counts, a stray quote', async () => {
  const file = write(
    'table.csv',
    '\ufeffid,title,text,year,code\r\n1,"A, B","line one\nline ""two""",1999,007\r\n2,,plain,,\r\n3,x\r\n4,t,a 5" pipe,1,c\r\n5,t,"fine,2,d\r\n6,t,good,2,d\r\n',
  );
  const { documents, errors } = await read(file);
  assert.equal(documents[0], {
    id: '1',
    title: 'A, B',
    text: 'line one\nline "two"',
    metadata: { year: 1999, code: '007' },
  });
  assert.equal(documents[1], { id: '2', title: '', text: 'plain', metadata: {} });
  assert.equal(
    documents.slice(2).map(({ id, text }) => [id, text]),
    [
      ['4', 'a 5" pipe'],
      ['6', 'good'],
    ],
  );
  assert.match(errors[0]!, /^5 WINNOW_BAD_ROW 2 fields where the header has 5/);
  assert.match(errors[1]!, /^7 WINNOW_BAD_ROW a quoted field is never closed/);
  assert.is(errors.length, 2);
});

corpus(
  'TSV has no quotes by default; columns are named by options; a missing column is told at once',
  async () => {
    const file = write('pairs.tsv', 'd1\tsays "hi\nd2\tmore\n');
    const { documents } = await read(file, {
      columns: ['pid', 'passage'],
      idField: 'pid',
      textField: 'passage',
    });
    assert.equal(
      documents.map(({ text }) => text),
      ['says "hi', 'more'],
    );
    const { errors } = await read(file, { columns: ['pid', 'passage'], textField: 'body' });
    assert.match(errors[0]!, /WINNOW_BAD_ARGUMENT there is no column "body"/);
  },
);

corpus('a folder of Markdown, HTML and text: ids from paths, titles, front matter, sections', async () => {
  write(
    'site/b/guide.md',
    '---\ntitle: The Guide\ntags: [x, y]\ndraft: false\n---\n# Start\nSee **[this](u)** &amp; `code`.\n\n## Next\n\n- one\n- two\n',
  );
  write(
    'site/a.html',
    '<html><head><title>Page &amp; co</title><style>p{}</style></head><body><nav>menu</nav><h1>Top</h1><p>Some\n <b>bold</b> text.<script>x()</script></p><pre>a\n  b</pre></body></html>',
  );
  write('site/read-me.txt', 'plain words');
  write('site/.hidden/x.md', 'not read');
  write('site/data.bin', 'not read');
  write('site/bad.md', '---\ntags: [x\n---\ntext');
  write('site/rule.md', '---\n\nA rule above.\n');
  write('site/empty.md', '');
  write('site/latin.txt', Buffer.from('caf\xe9', 'latin1'));
  const notices: string[] = [];
  const { items, documents, errors, format, progress } = await read(join(folder, 'site'), {
    onNotice: ({ place, message }) => notices.push(`${place}: ${message}`),
  });
  assert.is(format, 'text-folder');
  assert.equal(
    documents.map(({ id, title }) => [id, title]),
    [
      ['a.html', 'Page & co'],
      ['b/guide.md', 'The Guide'],
      ['bad.md', ''],
      ['read-me.txt', 'read me'],
      ['rule.md', ''],
    ],
  );
  const [html, guide, bad] = documents as [CorpusDocument, CorpusDocument, CorpusDocument];
  assert.is(html.text, 'menu\n\nTop\n\nSome bold text.\n\na\n  b');
  assert.is(guide.text, 'Start\n\nSee this & code.\n\nNext\n\none\ntwo');
  assert.equal(guide.metadata, { tags: ['x', 'y'], draft: false, path: 'b/guide.md' });
  const item = items.find((i) => 'document' in i && i.document.id === 'b/guide.md');
  assert.ok(item && 'sections' in item);
  assert.equal(
    item.sections!.map(({ headings, start, end }) => [
      headings.join('/'),
      guide.text.slice(start, end).trim(),
    ]),
    [
      ['Start', 'See this & code.'],
      ['Start/Next', 'one\ntwo'],
    ],
  );
  // A slip in the front matter costs neither the body nor the value.
  assert.is(bad.text, 'text');
  assert.equal(bad.metadata, { tags: '[x', path: 'bad.md' });
  assert.is(notices.length, 1);
  assert.match(notices[0]!, /site\/bad\.md:\d: the front matter is not YAML/);
  assert.is(errors.length, 2);
  assert.match(errors[0]!, /WINNOW_EMPTY_TEXT/);
  assert.match(errors[1]!, /WINNOW_BAD_ROW the file is not valid UTF-8/);
  assert.is(progress.filesRead, progress.filesTotal);
});

corpus('gzip is undone on the way; a cut file keeps what was read and says where it stopped', async () => {
  const lines = Array.from({ length: 20_000 }, (_, i) => `{"_id":"${i}","text":"t${Math.sin(i)}"}`).join(
    '\n',
  );
  const packed = gzipSync(lines);
  assert.is((await read(write('ok.jsonl.gz', packed))).documents.length, 20_000);
  const cut = await read(write('cut.jsonl.gz', packed.subarray(0, packed.length >> 1)));
  assert.ok(cut.documents.length > 0 && cut.documents.length < 20_000);
  assert.match(cut.errors.at(-1)!, /WINNOW_BAD_ROW reading stopped/);
});

corpus('what cannot be opened is refused with a code and a way out', async () => {
  assert.is((await failure(openCorpus(join(folder, 'absent')))).code, 'WINNOW_NOT_FOUND');
  assert.is((await failure(openCorpus(write('x.docx', 'x')))).code, 'WINNOW_UNKNOWN_FORMAT');
  assert.is((await failure(openCorpus(folder, { maxLineBytes: 0 }))).code, 'WINNOW_BAD_ARGUMENT');
  mkdirSync(join(folder, 'nothing'));
  assert.match((await read(join(folder, 'nothing'))).errors[0]!, /WINNOW_EMPTY_CORPUS/);
  assert.match((await read(write('zero.jsonl', '\n\n'))).errors[0]!, /WINNOW_EMPTY_CORPUS/);
});

corpus('the content hash follows title, text and metadata, not the id', async () => {
  const hash = async (row: string) => {
    const [item] = (await read(write('hash.jsonl', row))).items;
    return 'document' in item! ? item.contentHash : '';
  };
  const base = await hash('{"_id":"a","text":"t","x":1,"y":2}');
  assert.match(base, /^[0-9a-f]{32}$/);
  assert.is(await hash('{"_id":"b","text":"t","y":2,"x":1}'), base);
  assert.is.not(await hash('{"_id":"a","text":"t","x":1,"y":3}'), base);
  assert.is.not(await hash('{"_id":"a","title":"t","text":""}'), base);
});

corpus.run();
