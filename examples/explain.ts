import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openIndex } from 'winnow';

const index = openIndex(mkdtempSync(join(tmpdir(), 'winnow-')), { create: true });
await index.add([
  { id: 'marriage', text: 'Polygyny is the practice of having more than one spouse.' },
  { id: 'weather', text: 'Clouds form when moist air rises.' },
]);

const { score, rank, tokens } = index.explain('marrying several wives', 'marriage');
console.log(`score ${score.toFixed(2)}, rank ${rank}`);
for (const { word, token, queryWeight, weight, contribution, origin } of tokens)
  console.log(
    `${word} (${token}): ${queryWeight.toFixed(2)} x ${weight.toFixed(2)} = ${contribution.toFixed(2)}, ${origin}`,
  );

await index.close();
