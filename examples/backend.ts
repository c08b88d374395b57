import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openEmbedded, type SearchBackend, SearchIndex } from 'winnow';

/** Adds a log line per search to any backend. The server, `ingest` and `SearchIndex` take it like any other. */
function logged(inner: SearchBackend, log: (line: string) => void): SearchBackend {
  return {
    capabilities: { ...inner.capabilities, snapshots: false },
    window: inner.window,
    async search(request, signal) {
      const response = await inner.search(request, signal);
      log(`"${request.query}": ${response.hits.length} hits`);
      return response;
    },
    explain: (request) => inner.explain(request),
    get: (document) => inner.get(document),
    contentHashes: (ids) => inner.contentHashes(ids),
    sourceIds: () => inner.sourceIds(),
    write: (batch) => inner.write(batch),
    health: () => inner.health(),
    stats: () => inner.stats(),
    searchSize: (query) => inner.searchSize(query),
    close: () => inner.close(),
  };
}

const embedded = openEmbedded(mkdtempSync(join(tmpdir(), 'winnow-')), { create: true });
const index = new SearchIndex(logged(embedded, (line) => console.log(line)));
await index.add([{ id: '1', text: 'A lighthouse on the cliff.' }]);
await index.search('beacon at the coast');
await index.close();
