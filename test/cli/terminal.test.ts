import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openIndex } from '../../app/search-index.ts';
import { filterField } from '../../cli/options.ts';
import { printable, printableText } from '../../cli/printable.ts';
import { packageRoot } from '../../package-root.ts';
import { cli } from '../helpers/cli.ts';
import { check } from '../helpers/property.ts';
import { tempFolder } from '../helpers/temp-folder.ts';

const test = suite('terminal and pipes');
const fullDevice = existsSync('/dev/full') ? test : test.skip;

/** Runs a shell line in which `winnow` is the command line from source. */
function shell(line: string, cwd: string) {
  const winnow = `winnow() { "${process.execPath}" --import tsx "${join(packageRoot, 'cli/main.ts')}" "$@"; }`;
  // tsx is found from the working folder.
  const script = `cd "${packageRoot}" && ${winnow}; F="${cwd}"; ${line}`;
  const { stdout, stderr, status } = spawnSync('bash', ['-c', `set -o pipefail; ${script}`], {
    encoding: 'utf8',
    // The test runner asks for colours, and Node warns of two wishes.
    env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: undefined },
  });
  return { stdout, stderr, status };
}

/** A folder with an index `i` of 3,000 term vectors, more than a pipe holds. */
async function indexFolder(): Promise<string> {
  const folder = tempFolder();
  const engine = openIndex(join(folder, 'i'), { create: true, lexicalOnly: true });
  const texts = Array.from({ length: 3000 }, (_, i) => ({
    id: `d${i}`,
    title: '',
    text: `volcano number ${i}`,
    metadata: {},
  }));
  await engine.add(texts);
  await engine.close();
  return folder;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: nothing of these may be printed
const CONTROLS = /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c\u2028\u2029]/;

test('printable text has no control characters, and other text stays as it is', async () => {
  assert.is(printable('a\u001b[31mb\u0007\n\u009b\u202ec'), 'a\\u001b[31mb\\u0007\\n\\u009b\\u202ec');
  assert.is(printable('naïve Ωmega 🎉 👩‍👩‍👧 كتاب'), 'naïve Ωmega 🎉 👩‍👩‍👧 كتاب');
  assert.is(printable('\ud800x'), '\\ud800x');
  assert.is(printableText('two\r\n\tlines\u001b'), 'two lines\\u001b');
  const nasty = fc.string({
    unit: fc.integer({ min: 0, max: 0x2070 }).map((code) => String.fromCharCode(code)),
  });
  await check(
    fc.property(nasty, (text) => {
      assert.not.match(printable(text), CONTROLS);
      assert.not.match(printableText(text), CONTROLS);
    }),
    { numRuns: 500 },
  );
});

test('no document or argument reaches the terminal with control characters; JSON holds them as they are', async () => {
  const evil = '\u001b]0;title\u0007\u202e\u009b31m';
  const row = {
    id: `id\n${evil}`,
    title: `${evil} head`,
    text: `volcano ${evil} lava\nmore`,
    tag: `${evil}tag`,
  };
  const folder = tempFolder();
  const [file, index] = [join(folder, 'rows.jsonl'), join(folder, 'i')];
  writeFileSync(file, [row, { id: `empty ${evil}`, text: '' }].map((one) => JSON.stringify(one)).join('\n'));
  const printed = async (...parameters: string[]) => {
    const { stdout, stderr } = await cli(...parameters);
    for (const line of [...stdout.split('\n'), ...stderr.split('\n')])
      assert.not.match(line, CONTROLS, parameters[0]!);
    return stdout + stderr;
  };
  assert.match(
    await printed('index', file, '--index', index, '--filter', 'tag:string'),
    /document "empty \\u001b\]0;title.* has no text/,
  );
  const hits = await printed('search', 'volcano', '--index', index, '--facet', 'tag');
  assert.match(hits, /^1\. .*\\u001b\]0;title\\u0007\\u202e\\u009b31m head id\\n\\u001b/m);
  assert.match(hits, /tag: \\u001b\]0;title/);
  assert.match(
    await printed('explain', 'volcano', row.id, '--index', index),
    /id\\n\\u001b\]0;title.*: score/,
  );
  assert.match(await printed('explain', 'volcano', evil, '--index', index), /WINNOW_NOT_FOUND/);
  assert.match(await printed('search', 'x', '--index', index, `--${evil}`), /unknown option/);
  const { stdout } = await cli('search', 'volcano', '--index', index, '--json');
  assert.is(JSON.parse(stdout).hits[0].id, row.id);
});

test('export - writes data alone, ends quietly when the reader leaves, and what it wrote is imported from a pipe', async () => {
  const folder = await indexFolder();
  const whole = shell('winnow export - --side words --index $F/i', folder);
  assert.is(whole.status, 0, whole.stderr);
  assert.is(
    whole.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line)).length,
    3000,
  );
  assert.match(whole.stderr, /^3,000 documents written/m);
  for (const target of ['-', '/dev/stdout']) {
    const { stdout, stderr, status } = shell(
      `winnow export ${target} --side words --index $F/i | head -c 10`,
      folder,
    );
    assert.equal(
      [stdout, stderr.replace(/^3,000 documents written\n/, ''), status],
      ['{"id":"d0"', '', 0],
      target,
    );
  }
  const piped = shell(
    'winnow export - --side words --index $F/i | winnow import - --side words --index $F/again; winnow export $F/out.jsonl --side words --index $F/again',
    folder,
  );
  assert.match(piped.stdout, /^3,000 documents imported/m);
  assert.is(readFileSync(join(folder, 'out.jsonl'), 'utf8'), whole.stdout);
});

test('index - reads standard input of a named format, with its lines in errors', async () => {
  const folder = tempFolder();
  const rows = `printf '{"id":"a","text":"volcano"}\\n{"id":"b"}\\n' | winnow index - --index $F/i`;
  const { stdout, stderr, status } = shell(`${rows} --format jsonl`, folder);
  assert.is(status, 1);
  assert.match(stdout, /1 added/);
  assert.match(stderr, /standard input:2: no text/);
  assert.match(shell(rows, folder).stderr, /WINNOW_UNKNOWN_FORMAT .*--format jsonl/);
  const csv = shell(`printf 'id;text\\n1;lava\\n' | winnow index - --format csv --index $F/csv`, folder);
  assert.match(csv.stdout, /1 added/);
});

test('files that cannot be read or written end in one line with a code, and no folder is made', async () => {
  const folder = await indexFolder();
  const path = (name: string) => join(folder, name);
  writeFileSync(path('bad.jsonl.gz'), 'no gzip');
  writeFileSync(path('bad.jsonl.xz'), 'no xz');
  writeFileSync(path('cut.jsonl.gz'), gzipSync('{"id":"a","vector":{}}\n').subarray(0, 20));
  writeFileSync(path('bad.ciff'), 'no ciff');
  const cases: [parameters: string[], message: RegExp][] = [
    [['import', path('absent.jsonl'), '--index', path('new')], /^WINNOW_NOT_FOUND .*absent\.jsonl/],
    [['import', folder, '--index', path('new')], /^WINNOW_BAD_DATASET /],
    [['import', path('bad.jsonl.gz'), '--index', path('new')], /^WINNOW_BAD_DATASET .*bad\.jsonl\.gz/],
    [['import', path('bad.jsonl.xz'), '--index', path('new')], /^WINNOW_BAD_DATASET .*bad\.jsonl\.xz/],
    [['import', path('cut.jsonl.gz'), '--index', path('new')], /^WINNOW_BAD_DATASET .*cut\.jsonl\.gz/],
    [
      ['import', path('bad.ciff'), '--format', 'ciff', '--index', path('new')],
      /^WINNOW_BAD_DATASET .*bad\.ciff/,
    ],
    [['export', path('none/x.jsonl'), '--index', path('i')], /^WINNOW_STORAGE .*x\.jsonl/],
    [['export', folder, '--index', path('i')], /^WINNOW_STORAGE /],
    ...(existsSync('/dev/full')
      ? ([[['export', '/dev/full', '--index', path('i')], /^WINNOW_STORAGE \/dev\/full/]] as [
          string[],
          RegExp,
        ][])
      : []),
  ];
  for (const [parameters, message] of cases) {
    const { code, stderr } = await cli(...parameters);
    assert.is(code, 1, parameters.join(' '));
    assert.match(stderr, message);
    assert.is(stderr.trim().split('\n').length, 1, stderr);
  }
  assert.not(existsSync(path('new')));
});

fullDevice(
  'a full device is a code of each command, and a run whose messages cannot be shown goes on',
  async () => {
    const folder = await indexFolder();
    for (const command of ['search volcano', 'stats', 'explain volcano d1', 'export -', 'snapshot $F/copy']) {
      const { stderr, status } = shell(`winnow ${command} --index $F/i > /dev/full`, folder);
      assert.is(status, 1, command);
      assert.match(stderr, /^WINNOW_STORAGE standard output: ENOSPC[^\n]*\n$/, command);
    }
    const { stdout, status } = shell(
      `printf '{"id":"a","text":"x"}\\n{broken\\n' > $F/r.jsonl; winnow index $F/r.jsonl --index $F/new 2> /dev/full`,
      folder,
    );
    assert.match(stdout, /1 added/);
    assert.is(status, 1);
  },
);

test('declarations of fields that no filter could use are refused', () => {
  assert.equal(filterField('b:number', filterField('a')), [
    { name: 'a', type: 'string' },
    { name: 'b', type: 'number' },
  ]);
  for (const text of ['and:string', 'or', 'not:number', 'dc:date:date', ':number', ' :number', 'x:int', 'x:'])
    assert.throws(() => filterField(text), undefined, text);
  assert.throws(() => filterField('y:string', filterField('y:number')), /declared twice/);
});

test.run();
