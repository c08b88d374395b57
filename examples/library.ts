import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openIndex } from 'winnow';

const index = openIndex(mkdtempSync(join(tmpdir(), 'winnow-')), { create: true });

await index.add([
  { id: 'sky', title: 'Sky', text: 'Air scatters short wavelengths of sunlight more than long ones.' },
  { id: 'car', title: 'Automobile', text: 'It is driven by an engine that burns fuel.' },
]);

const { hits, tookUs } = index.search('motor vehicle', { k: 1 });
for (const { id, title, score, addedWords } of hits)
  console.log(
    `${id} (${title}): ${score.toFixed(2)}, matched by ${addedWords.join(', ')}, ${tookUs.toFixed(0)} µs`,
  );

await index.close();
