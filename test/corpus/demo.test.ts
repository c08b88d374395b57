import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openCorpus } from '../../corpus/open-corpus.ts';
import { analyze } from '../../query/text/english-analyzer.ts';

const demo = (name: string) => fileURLToPath(new URL(`../../demo/${name}`, import.meta.url));

test('the demo corpus reads without an error and its queries point at passages, one sharing no word', async () => {
  const texts = new Map<string, string>();
  for await (const item of await openCorpus(demo('corpus.jsonl'), { strict: true }))
    if ('document' in item) texts.set(item.document.id, `${item.document.title} ${item.document.text}`);
  assert.ok(texts.size >= 200);
  const queries = JSON.parse(readFileSync(demo('queries.json'), 'utf8')) as {
    query: string;
    expected: string;
  }[];
  assert.ok(queries.length >= 3);
  const sharing = queries.map(({ query, expected }) => {
    const passage = new Set(analyze(texts.get(expected) ?? ''));
    assert.ok(passage.size > 0, expected);
    return analyze(query).filter((term) => passage.has(term));
  });
  assert.ok(
    sharing.some((terms) => terms.length === 0),
    JSON.stringify(sharing),
  );
});

test.run();
