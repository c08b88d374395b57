import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SearchService } from '../../app/service/search-service.ts';
import { createKey } from '../../server/keys/key-file.ts';
import { serve } from '../helpers/served.ts';
import type { FuzzTarget } from './v1-fuzz.ts';

/** Starts a server over a new data folder, with keys and with files that tasks may read. */
export async function fuzzTarget(parent: string): Promise<FuzzTarget> {
  const folder = join(parent, 'data');
  await SearchService.openFolder(folder).close();
  const imports = join(folder, 'imports');
  mkdirSync(join(imports, 'judged/qrels'), { recursive: true });
  writeFileSync(join(imports, 'notes.md'), '# Sky\n\nThe sky is blue.\n');
  writeFileSync(join(imports, 'rows.jsonl'), '{"id":"d1","text":"a blue car"}\n{"broken\n');
  writeFileSync(join(imports, 'judged/corpus.jsonl'), '{"_id":"d1","text":"a blue car"}\n');
  writeFileSync(join(imports, 'judged/queries.jsonl'), '{"_id":"q","text":"car"}\n');
  writeFileSync(join(imports, 'judged/qrels/test.tsv'), 'query-id\tcorpus-id\tscore\nq\td1\t1\n');
  const key = (options: object) => createKey(folder, { scopes: ['read'], ...options }).token;
  const keys = {
    admin: key({ scopes: ['admin'] }),
    write: key({ scopes: ['write'] }),
    read: key({}),
    limited: key({ scopes: ['read', 'write'], collections: ['f1'] }),
    expired: key({ expiresAt: new Date(0).toISOString() }),
  };
  const served = await serve(folder, '--threads', '1');
  return { served, folder, keys, imports: ['notes.md', 'rows.jsonl', 'judged', '.'] };
}
