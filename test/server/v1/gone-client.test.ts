import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { EncodedText } from '../../../query/backend.ts';
import { openEmbedded } from '../../../query/embedded/open-embedded.ts';
import { LIMITS } from '../../../server/limits.ts';
import { createServer } from '../../../server/server.ts';
import { tempFolder } from '../../helpers/temp-folder.ts';
import { startV1 } from './start.ts';

/** What nobody waits for any more is not done, and what waits is bounded. */
const test = suite('v1: clients that hang up');

/** An index whose `encode` ends only when it is aborted, behind a server. */
async function startStuck() {
  const backend = openEmbedded(join(tempFolder(), 'index'), { create: true, threads: 1 });
  const begun: AbortSignal[] = [];
  let announce = (): void => {};
  backend.encode = (_texts, _kind, signal) =>
    new Promise<EncodedText[]>((_, reject) => {
      begun.push(signal!);
      signal!.addEventListener('abort', () => reject(signal!.reason));
      announce();
    });
  const app = await createServer(backend, { log: 'silent' });
  const base = await app.listen({ port: 0, host: '127.0.0.1' });
  return {
    begun,
    /** Resolves when that many encodings have begun. */
    async until(count: number): Promise<void> {
      while (begun.length < count)
        await new Promise<void>((resolve) => {
          announce = resolve;
        });
    },
    encode: (signal?: AbortSignal) =>
      fetch(`${base}/v1/collections/default/encode`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '{"texts": ["sky"]}',
        ...(signal ? { signal } : {}),
      }),
    async close() {
      await app.close();
      await backend.close();
    },
  };
}

test('an encoding ends when its client is gone, and the next one begins', async () => {
  const server = await startStuck();
  const [first, second] = [new AbortController(), new AbortController()];
  const ended = (answer: Promise<Response>) => answer.catch((error: Error) => error.name);
  const answers = [ended(server.encode(first.signal))];
  await server.until(1);
  answers.push(ended(server.encode(second.signal)));
  first.abort();
  await server.until(2);
  assert.ok(server.begun[0]!.aborted);
  second.abort();
  assert.equal(await Promise.all(answers), ['AbortError', 'AbortError']);
  await server.close();
});

test('more encodings than may wait are refused with the time after which to come back', async () => {
  const server = await startStuck();
  const hangUp = new AbortController();
  const all = Array.from({ length: LIMITS.encodingsWaiting + 2 }, () => server.encode(hangUp.signal));
  const refused = await Promise.any(all);
  assert.is(refused.status, 503);
  assert.ok(Number(refused.headers.get('retry-after')) > 0);
  assert.is(((await refused.json()) as { code: string }).code, 'WINNOW_BUSY');
  hangUp.abort();
  await Promise.allSettled(all);
  await server.close();
});

test('the encoder and explanations stop at an aborted signal', async () => {
  const { service, close } = await startV1();
  await service.create({ name: 'c' });
  const gone = new AbortController();
  const texts = Array.from({ length: 64 }, (_, i) => `The sky is blue. ${i} `.repeat(40));
  const reasons = (['document', 'query'] as const).map((kind) =>
    service.encode('c', texts, kind, gone.signal).then(
      () => 'encoded',
      (reason) => reason,
    ),
  );
  const reason = new Error('gone');
  gone.abort(reason);
  assert.equal(await Promise.all(reasons), [reason, reason]);
  const explained = service.explain('c', { query: 'sky', document: 'none' }, gone.signal);
  assert.is(await explained.catch((error) => error), reason);
  await close();
});

test('a text that is longer than a query may be is refused as a query, and cut off as a document', async () => {
  const { call, close } = await startV1();
  await call('POST', '/collections', { name: 'c' });
  const texts = ['sky', 'sky '.repeat(2501)];
  const { status, body } = await call('POST', '/collections/c/encode', { texts, kind: 'query' });
  assert.equal([status, body.code, body.place], [400, 'WINNOW_BAD_ARGUMENT', 'texts.1']);
  assert.is((await call('POST', '/collections/c/encode', { texts })).body.items.length, 2);
  await close();
});

test.run();
