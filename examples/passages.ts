import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openIndex } from 'winnow';

const index = openIndex(mkdtempSync(join(tmpdir(), 'winnow-')), { create: true });

// The encoder reads some 500 tokens at a time: a longer text becomes passages, which are searched one by one.
const chapter = (topic: string) => `${`This chapter is about ${topic}. `.repeat(60)}\n\n`;
await index.add([
  { id: 'guide', title: 'Guide', text: chapter('volcanoes') + chapter('glaciers') + chapter('harbours') },
]);

const best = index.search('glacier', { groupByParent: true }).hits[0]!;
console.log(`best passage of ${best.id}: number ${best.passage}`);
const passage = index.get({ id: 'guide', passage: best.passage! })!;
console.log(`${passage.text.length} characters: ${passage.text.slice(0, 40)}...`);
const whole = index.get('guide')!;
console.log(
  'passages' in whole ? `the document has ${whole.passages.length} passages` : 'one whole document',
);

await index.close();
