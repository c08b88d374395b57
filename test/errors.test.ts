import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ERROR_CODES, WinnowError } from '../errors.ts';
import { packageRoot } from '../package-root.ts';

test('an error prints its code, place, message and way out on one line', () => {
  const error = new WinnowError('WINNOW_BAD_ROW', 'not JSON', {
    place: 'docs.jsonl:7',
    hint: 'fix or remove the line',
  });
  assert.is(String(error), 'WINNOW_BAD_ROW docs.jsonl:7: not JSON (fix or remove the line)');
  assert.is(error.status, 400);
});

test('docs/errors.md lists exactly the codes that exist, with their status', () => {
  const table = readFileSync(join(packageRoot, 'docs/errors.md'), 'utf8');
  const documented = [...table.matchAll(/^\| `(WINNOW_\w+)` \| (\d+) \|/gm)].map(([, code, status]) => [
    code,
    Number(status),
  ]);
  assert.equal(
    documented,
    Object.entries(ERROR_CODES).map(([code, { status }]) => [code, status]),
  );
});

test('every code is raised somewhere', () => {
  const sources = [
    'corpus',
    'kernels',
    'encoder',
    'indexer',
    'query',
    'backends',
    'app',
    'server',
    'evaluation',
    'cli',
  ]
    .flatMap((folder) =>
      readdirSync(join(packageRoot, folder), { recursive: true }).map((name) =>
        join(packageRoot, folder, String(name)),
      ),
    )
    .filter((name) => name.endsWith('.ts'))
    .map((name) => readFileSync(name, 'utf8'))
    .join('\n');
  for (const code of Object.keys(ERROR_CODES))
    assert.ok(sources.includes(`'${code}'`), `${code} is never raised`);
});

test.run();
