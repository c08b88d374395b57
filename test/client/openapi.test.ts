import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Value } from 'typebox/value';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type ExportedDocument,
  type NewDocument,
  type Task,
  WinnowClient,
  type WriteResult,
} from '../../client/index.ts';
import { startV1, type V1Server } from '../server/v1/start.ts';

/** The client beside the OpenAPI document of a server, and each of its methods against that server. */
const test = suite('client and OpenAPI');

interface Operation {
  readonly responses: Readonly<Record<string, { content?: Readonly<Record<string, { schema: object }>> }>>;
}
interface Sent {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

let server: V1Server;
let client: WinnowClient;
let operations: { readonly name: string; readonly pattern: RegExp; readonly operation: Operation }[];
const sent: Sent[] = [];

/** Sends a request and notes it with its answer. */
const noting: typeof fetch = async (input, init) => {
  const response = await fetch(input, init);
  sent.push({
    method: init!.method!,
    path: new URL(String(input)).pathname,
    status: response.status,
    type: response.headers.get('content-type') ?? '',
    body: await response.clone().text(),
  });
  return response;
};

test.before(async () => {
  server = await startV1();
  const base = `http://127.0.0.1:${server.port}`;
  const document = (await (await fetch(`${base}/openapi.json`)).json()) as {
    paths: Record<string, Record<string, Operation>>;
  };
  operations = Object.entries(document.paths)
    .filter(([path]) => path.startsWith('/v1/'))
    .flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({
        name: `${method.toUpperCase()} ${path}`,
        pattern: new RegExp(`^${method.toUpperCase()} ${path.replaceAll(/\{\w+\}/g, '[^/]+')}$`),
        operation,
      })),
    );
  client = new WinnowClient(`${base}/`, { fetch: noting });
});
test.after(() => server.close());

const SKY: NewDocument = {
  id: 'the/sky?',
  title: 'Sky',
  text: 'The sky is blue because air scatters sunlight.',
  year: 1871,
};

/** OpenAPI 3.0 writes `nullable` where JSON Schema has a type of null. */
function asJsonSchema(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(asJsonSchema);
  if (typeof schema !== 'object' || schema === null) return schema;
  const { nullable, ...rest } = schema as Record<string, unknown>;
  const plain = Object.fromEntries(Object.entries(rest).map(([name, one]) => [name, asJsonSchema(one)]));
  return nullable ? { anyOf: [plain, { type: 'null' }] } : plain;
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

test('collections and aliases', async () => {
  const made = await client.createCollection({ name: 'notes', fields: [{ name: 'year', type: 'number' }] });
  assert.equal([made.name, made.documents, made.fields[0]!.name], ['notes', 0, 'year']);
  await client.createCollection({ name: 'words', model: null });
  const notes = client.collection('notes');
  assert.is((await notes.update({ description: 'mine' })).settings.description, 'mine');
  assert.is((await notes.info()).settings.description, 'mine');
  assert.equal(
    (await client.listCollections()).map(({ name }) => name),
    ['notes', 'words'],
  );
  assert.equal(await client.setAlias('now', 'words'), { alias: 'now', collection: 'words' });
  assert.equal(await client.listAliases(), [{ alias: 'now', collection: 'words' }]);
  assert.is((await client.collection('now').info()).model, null);
  assert.is(await client.deleteAlias('now'), undefined);
  assert.is((await notes.swap('words')).model, null);
  assert.is.not((await notes.swap('words')).model, null);
});

test('documents: one, a list, a stream, metadata, export, deletes', async () => {
  const notes = client.collection('notes');
  assert.is((await notes.add(SKY)).summary.added, 1);
  const listed = await notes.add([SKY, { id: '', text: 'no id' }, { id: 'sea', text: 'The sea is deep.' }]);
  assert.equal(
    listed.results.map(({ status }) => status),
    ['unchanged', 'failed', 'added'],
  );
  assert.is((await notes.get('the/sky?')).title, 'Sky');
  assert.equal((await notes.updateMetadata('the/sky?', { year: null, place: 'above' })).metadata, {
    place: 'above',
  });
  const exported: ExportedDocument[] = await all(notes.export());
  assert.equal(exported.map(({ id }) => id).sort(), ['sea', 'the/sky?']);
  assert.is(await notes.deleteDocument('the/sky?'), 1);
  assert.is(await notes.deleteDocuments({ ids: ['sea', 'none'] }), 1);
  assert.equal(await all(notes.export()), []);
});

test('a stream of documents is taken as fast as its results are, in several requests', async () => {
  const words = client.collection('words');
  let taken = 0;
  async function* documents(): AsyncGenerator<NewDocument> {
    for (let i = 1; i <= 25; i++) {
      taken++;
      yield { id: i === 13 ? '' : `d${i}`, text: `number ${i}` };
    }
  }
  const before = sent.length;
  const upload = words.upload(documents(), { batchDocuments: 10 });
  assert.is(taken, 0);
  const results: WriteResult[] = [];
  for await (const result of upload) {
    // The row that did not fit into the request before is taken already.
    assert.ok(taken <= Math.ceil(result.line / 10) * 10 + 1);
    results.push(result);
  }
  assert.equal(
    results.map(({ line }) => line).sort((a, b) => a - b),
    Array.from({ length: 25 }, (_, i) => i + 1),
  );
  assert.equal(
    results.filter(({ status }) => status === 'failed').map(({ line }) => line),
    [13],
  );
  assert.is(sent.length - before, 3);
  assert.equal([upload.summary.added, upload.summary.failed], [24, 1]);
  const again = await words.upload(documents(), { mode: 'insert', results: 'none' }).finish();
  assert.equal([again.added, again.failed], [0, 25]);
});

test('a file is read as winnow index reads it', async () => {
  const words = client.collection('words');
  const table = 'id,text\ngreen,Green tea.\nblack,Black tea.\n';
  const results = await all(words.uploadFile('teas.csv', new Blob([table])));
  assert.equal(results.map(({ id, status }) => `${id} ${status}`).sort(), ['black added', 'green added']);
  assert.is((await words.uploadFile('note.md', '# Note\n\nCafé.').finish()).added, 1);
  assert.is((await words.get('note.md')).title, 'Note');
});

test('search, multi-search, explain and encode', async () => {
  const notes = client.collection('notes');
  await notes.add(SKY);
  const { hits, mode } = await notes.search({ query: 'blue sky', explain: true, filter: { year: 1871 } });
  assert.equal([hits[0]!.id, mode], ['the/sky?', 'sparse']);
  const [first, second] = await client.multiSearch([
    { collection: 'notes', query: 'sky' },
    { collection: 'none', query: 'sky' },
  ]);
  assert.ok(first && 'hits' in first && first.hits.length === 1);
  assert.ok(second && 'error' in second && second.error.code === 'WINNOW_NOT_FOUND');
  const { score, tokens } = await notes.explain({ query: 'blue sky', id: 'the/sky?' });
  assert.ok(score > 0 && tokens.some(({ token }) => token === 'sky'));
  const [encoded] = await notes.encode(['blue sky'], { kind: 'query' });
  assert.ok(encoded!.terms.sky! > 0);
  assert.is((await notes.search({ vector: encoded!.terms })).hits[0]!.id, 'the/sky?');
  assert.is((await notes.stats()).documents, 1);
});

test('tasks: start, wait with progress, list, cancel', async () => {
  mkdirSync(join(server.folder, 'imports'), { recursive: true });
  writeFileSync(join(server.folder, 'imports', 'more.jsonl'), '{"_id":"tea","text":"Green tea."}\n');
  const words = client.collection('words');
  const started = await words.startTask({ type: 'index-file', path: 'more.jsonl' });
  const seen: Task[] = [];
  const ended = await client.tasks.wait(started.id, {
    intervalMs: 10,
    onProgress: (task) => void seen.push(task),
  });
  assert.equal([ended.status, ended.error], ['succeeded', undefined]);
  assert.is(seen.at(-1)!.id, started.id);
  assert.is((await words.get('tea')).text, 'Green tea.');
  assert.is((await client.tasks.cancel(started.id)).status, 'succeeded');
  const listed = await client.tasks.list({ collection: 'words', status: 'succeeded' });
  assert.equal(
    listed.map(({ id }) => id),
    [started.id],
  );
  await words.drop();
  assert.equal(
    (await client.listCollections()).map(({ name }) => name),
    ['notes'],
  );
});

test('every operation of /v1 was reached, nothing else was, and each answer is what the document says', () => {
  const missed = new Set(operations.map(({ name }) => name));
  for (const { method, path, status, type, body } of sent) {
    const found = operations.find(({ pattern }) => pattern.test(`${method} ${path}`));
    assert.ok(found, `${method} ${path} is no operation`);
    missed.delete(found.name);
    assert.ok(status < 300, `${found.name}: ${status} ${body}`);
    if (!type.includes('application/json')) continue;
    const schema = found.operation.responses[status]?.content?.['application/json']?.schema;
    assert.ok(schema, `${found.name} has no schema for ${status}`);
    assert.ok(Value.Check(asJsonSchema(schema) as object, JSON.parse(body)), `${found.name}: ${body}`);
  }
  assert.equal([...missed], []);
  assert.ok(operations.length > 20);
});

test.run();
