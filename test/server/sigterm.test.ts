import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openIndex } from '../../app/search-index.ts';
import { ask, serve, stop } from '../helpers/served.ts';
import { tempFolder } from '../helpers/temp-folder.ts';

const test = suite('SIGTERM under writes');

const WRITERS = 6;
const ROWS = 40;

test('every write is answered 200 and stored, or handed back with 503, or never began', async () => {
  const index = join(tempFolder(), 'index');
  await openIndex(index, { create: true, lexicalOnly: true }).close();
  const served = await serve(index);
  const stored = new Set<string>();
  const outcomes: Record<string, number> = {};
  const note = (outcome: string | number) => {
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
  };
  let answered = () => {};
  const some = new Promise<void>((resolve) => {
    answered = resolve;
  });
  const writers = Array.from({ length: WRITERS }, async (_, writer) => {
    for (let batch = 0; ; batch++) {
      const ids = Array.from({ length: ROWS }, (_, i) => `${writer}-${batch}-${i}`);
      const body = ids.map((id) => JSON.stringify({ id, text: `Row ${id}.` })).join('\n');
      const headers = { 'content-type': 'application/x-ndjson' };
      try {
        const {
          status,
          text,
          headers: got,
        } = await ask(served.port, { method: 'POST', path: '/documents', headers, body });
        note(status);
        if (status === 200) {
          for (const id of ids) stored.add(id);
          if (stored.size > 5 * ROWS) answered();
          continue;
        }
        assert.is(status, 503, text);
        assert.match(JSON.parse(text).code, /^WINNOW_BUSY$/);
        assert.is(got['retry-after'], '1');
      } catch (error) {
        if (error instanceof assert.Assertion) throw error;
        note((error as NodeJS.ErrnoException).code ?? String(error));
      }
      return;
    }
  });
  await some;
  const [end] = await Promise.all([stop(served, 'SIGTERM'), ...writers]);
  assert.is(end.code, 0, served.complaints());
  // A connection that is refused or reset before the request was read has accepted nothing.
  for (const outcome of Object.keys(outcomes))
    assert.match(outcome, /^(200|503|ECONNREFUSED|ECONNRESET|EPIPE)$/);
  const engine = openIndex(index);
  for (const id of stored) assert.ok(engine.get(id), `${id} was answered 200; ${JSON.stringify(outcomes)}`);
  engine.backend.verify();
  await engine.close();
});

test.run();
