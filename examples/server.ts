import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer, openIndex } from 'winnow';

const index = openIndex(mkdtempSync(join(tmpdir(), 'winnow-')), { create: true });
const server = await createServer(index);
const address = await server.listen({ port: 0, host: '127.0.0.1' });

// Documents are sent as NDJSON, one per line.
const rows = [
  { id: 'sky', text: 'The sky is blue because air scatters light.' },
  { id: 'sea', text: 'The sea is deep.' },
];
await fetch(`${address}/documents`, {
  method: 'POST',
  headers: { 'content-type': 'application/x-ndjson' },
  body: rows.map((row) => JSON.stringify(row)).join('\n'),
});

const response = await fetch(`${address}/search`, {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ query: 'colour of the sky', k: 1 }),
});
const { hits } = (await response.json()) as { hits: { id: string; score: number }[] };
console.log(`${hits[0]!.id} ${hits[0]!.score.toFixed(2)}`);

await server.close();
await index.close();
