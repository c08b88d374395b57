import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ingest, openCorpus, openIndex } from 'winnow';

const folder = mkdtempSync(join(tmpdir(), 'winnow-texts-'));
writeFileSync(join(folder, 'bread.md'), '---\ntags: [baking]\n---\n# Bread\n\nFlour, water, yeast and time.');
writeFileSync(join(folder, 'tea.txt'), 'Pour hot water over the leaves.');

const index = openIndex(mkdtempSync(join(tmpdir(), 'winnow-')), { create: true });

async function update(): Promise<void> {
  const report = await ingest(await openCorpus(folder), index.backend, {
    batchSize: 256,
    passages: true,
    // Documents whose file is gone are deleted, unless something in the folder could not be read.
    deleteMissing: true,
    onBadRow: (error, { file }) => console.error(`${file}: ${error}`),
    onProgress: () => {},
    stopped: () => false,
  });
  console.log(`${report.added} added, ${report.replaced} replaced, ${report.unchanged} unchanged`);
}

await update();
writeFileSync(join(folder, 'tea.txt'), 'Pour hot water over the leaves and wait.');
await update();
console.log(index.search('how to make a brew').hits[0]!.id);

await index.close();
