// Regenerates indexer/format/generated from indexer/format/schema.fbs. Needs flatc (Debian: flatbuffers-compiler).
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const scratch = mkdtempSync(join(tmpdir(), 'winnow-schema-'));
execFileSync('flatc', ['--ts', '-o', scratch, 'indexer/format/schema.fbs']);
const source = join(scratch, 'winnow');
for (const name of readdirSync(source)) {
  // flatc 2 leaves import paths without an extension, which Node's module resolution refuses.
  const text = readFileSync(join(source, name), 'utf8').replace(
    /from '\.\.\/winnow\/([\w-]+)'/g,
    "from './$1.ts'",
  );
  writeFileSync(join('indexer/format/generated', name), text);
}
rmSync(scratch, { recursive: true });
