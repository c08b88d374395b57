import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openIndex } from 'winnow';

// Fields that filters, sort and facets name are declared when the index is created.
const index = openIndex(mkdtempSync(join(tmpdir(), 'winnow-')), {
  create: true,
  filterFields: [
    { name: 'year', type: 'number' },
    { name: 'lang', type: 'string' },
  ],
});

await index.add([
  { id: '1', text: 'A bridge of stone.', metadata: { year: 1779, lang: 'en' } },
  { id: '2', text: 'A bridge of steel.', metadata: { year: 1890, lang: 'en' } },
  { id: '3', text: 'A suspension bridge.', metadata: { year: 1937, lang: ['en', 'es'] } },
]);

const { hits, facets } = index.search('bridges', {
  filter: { year: { gte: 1800 }, lang: 'en' },
  sort: { field: 'year', order: 'desc' },
  facets: ['lang'],
});
console.log(hits.map(({ id, metadata }) => `${id} of ${metadata.year}`).join(', '));
console.log(facets!.lang!.map(({ value, count }) => `${value}: ${count}`).join(', '));

await index.close();
