import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openIndex } from '../../app/search-index.ts';
import { packageRoot } from '../../package-root.ts';
import { cli } from '../helpers/cli.ts';
import { tempFolder } from '../helpers/temp-folder.ts';

const test = suite('demo');

test('indexes the shipped passages and finds the expected one for each query, one of them without a shared word', async () => {
  const index = join(tempFolder(), 'demo');
  const { code, stdout, stderr } = await cli('demo', '--index', index);
  assert.is(code, 0, stderr);
  const queries = JSON.parse(readFileSync(join(packageRoot, 'demo/queries.json'), 'utf8')) as {
    query: string;
    expected: string;
  }[];
  const engine = openIndex(index, { readOnly: true });
  let withoutSharedWord = 0;
  for (const { query, expected } of queries) {
    assert.match(stdout, query);
    const [best] = engine.search(query, { k: 1, explain: true }).hits;
    assert.is(best?.id, expected, query);
    if (best!.explanation!.every(({ origin }) => origin !== 'text')) withoutSharedWord++;
  }
  assert.ok(queries.length >= 3 && withoutSharedWord >= 1);
  await engine.close();
});

test.run();
