import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { SearchService } from '../../app/service/search-service.ts';
import { rowsOfList } from '../../app/service/write-documents.ts';
import { WinnowError } from '../../errors.ts';
import { check } from '../helpers/property.ts';
import { tempFolder } from '../helpers/temp-folder.ts';

const test = suite('collections of a service');

async function write(service: SearchService, name: string, rows: readonly object[]): Promise<void> {
  for await (const { error } of service.writer(name).write(rowsOfList(rows))) assert.is(error, undefined);
}

/** Ids by word, so that a search shows which index answers. */
async function idsOf(service: SearchService, name: string): Promise<string[]> {
  const { hits } = await service.search(name, { query: 'parcel', k: 100 });
  return hits.map(({ id }) => id).sort();
}

const codeOf = async (action: () => unknown): Promise<string | undefined> => {
  try {
    await action();
    return undefined;
  } catch (error) {
    if (error instanceof WinnowError) return error.code;
    throw error;
  }
};

/** What a data folder should hold: documents by collection, and collections by alias. */
interface Reference {
  readonly collections: Map<string, Set<string>>;
  readonly aliases: Map<string, string>;
}

type Step = { readonly kind: string; readonly a: string; readonly b: string };

/** Does a step to the reference. @returns the code that the service should answer with */
function expected({ collections, aliases }: Reference, { kind, a, b }: Step): string | undefined {
  const target = (name: string) => aliases.get(name) ?? name;
  switch (kind) {
    case 'create':
      if (collections.has(a) || aliases.has(a)) return 'WINNOW_ALREADY_EXISTS';
      collections.set(a, new Set());
      return undefined;
    case 'add': {
      const documents = collections.get(target(a));
      if (!documents) return 'WINNOW_NOT_FOUND';
      documents.add(`${b}-document`);
      return undefined;
    }
    case 'remove':
      if (!collections.delete(a)) return 'WINNOW_NOT_FOUND';
      for (const [alias, collection] of aliases) if (collection === a) aliases.delete(alias);
      return undefined;
    case 'swap': {
      const [one, other] = [collections.get(a), collections.get(b)];
      if (!one || !other) return 'WINNOW_NOT_FOUND';
      collections.set(a, other).set(b, one);
      return undefined;
    }
    case 'alias':
      if (!collections.has(target(b))) return 'WINNOW_NOT_FOUND';
      if (collections.has(a)) return 'WINNOW_ALREADY_EXISTS';
      aliases.set(a, target(b));
      return undefined;
    default:
      return aliases.delete(a) ? undefined : 'WINNOW_NOT_FOUND';
  }
}

async function act(service: SearchService, { kind, a, b }: Step): Promise<void> {
  const { collections } = service;
  if (kind === 'create') await service.create({ name: a, model: null });
  else if (kind === 'add') await write(service, a, [{ id: `${b}-document`, text: `Parcel ${b}.` }]);
  else if (kind === 'remove') await collections.remove(a);
  else if (kind === 'swap') collections.swap(a, b);
  else if (kind === 'alias') collections.setAlias(a, b);
  else collections.removeAlias(a);
}

test('any sequence of operations, restarts among them, leaves what a map would hold', async () => {
  const name = fc.constantFrom('a', 'b', 'c', 'constructor');
  const kinds = ['create', 'create', 'add', 'add', 'remove', 'swap', 'alias', 'unalias', 'restart'];
  const step = fc.record({ kind: fc.constantFrom(...kinds), a: name, b: name });
  await check(
    fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 14 }), async (steps) => {
      const folder = join(tempFolder(), 'data');
      let service = SearchService.openFolder(folder);
      const reference: Reference = { collections: new Map(), aliases: new Map() };
      try {
        for (const one of steps) {
          if (one.kind === 'restart') {
            await service.close();
            service = SearchService.openFolder(folder);
          } else
            assert.is(await codeOf(() => act(service, one)), expected(reference, one), JSON.stringify(one));
          assert.equal(service.collections.names, [...reference.collections.keys()].sort());
          assert.equal(service.collections.aliases, Object.fromEntries(reference.aliases));
        }
        for (const [collection, documents] of reference.collections)
          assert.equal(await idsOf(service, collection), [...documents].sort());
        for (const [alias, collection] of reference.aliases)
          assert.equal(await idsOf(service, alias), await idsOf(service, collection));
        const indexes = join(folder, 'collections');
        const folders = existsSync(indexes) ? readdirSync(indexes) : [];
        assert.is(folders.length, reference.collections.size, 'no files of removed collections');
      } finally {
        await service.close();
        rmSync(folder, { recursive: true, force: true });
      }
    }),
    { numRuns: 15 },
  );
});

test('a crash while the state is written leaves the old state, and leftovers are cleared', async () => {
  const folder = join(tempFolder(), 'data');
  let service = SearchService.openFolder(folder);
  await service.create({ name: 'books', model: null });
  await write(service, 'books', [{ id: '1', text: 'A parcel.' }]);
  const before = readFileSync(join(folder, 'service.json'), 'utf8');
  await service.create({ name: 'films', model: null });
  const after = JSON.parse(readFileSync(join(folder, 'service.json'), 'utf8'));
  await service.close();
  // The process died while the file of the next state was half written.
  writeFileSync(join(folder, 'service.json'), before);
  writeFileSync(join(folder, 'service.json.partial'), '{"version": 1, "collec');
  service = SearchService.openFolder(folder);
  assert.equal(service.collections.names, ['books']);
  assert.equal(await idsOf(service, 'books'), ['1']);
  await service.close();
  // It died after a collection was taken out of the state and before its files were.
  const { films, ...collections } = after.collections;
  writeFileSync(
    join(folder, 'service.json'),
    JSON.stringify({ ...after, collections, removed: [films.folder] }),
  );
  service = SearchService.openFolder(folder);
  assert.not.ok(existsSync(join(folder, 'collections', films.folder)));
  assert.is(await codeOf(() => service.info('films')), 'WINNOW_NOT_FOUND');
  await service.close();
  // It died between the state of a new collection and its index.
  const started = { ...films, folder: 'c-0123456789ab', isNew: true };
  writeFileSync(
    join(folder, 'service.json'),
    JSON.stringify({ ...after, collections: { ...collections, films: started } }),
  );
  service = SearchService.openFolder(folder);
  assert.is((await service.info('films')).documents, 0);
  await service.close();
});

test('damaged state is an error and removes nothing', async () => {
  const folder = join(tempFolder(), 'data');
  const service = SearchService.openFolder(folder);
  await service.create({ name: 'books', model: null });
  await service.close();
  const whole = readFileSync(join(folder, 'service.json'), 'utf8');
  const open = () => codeOf(() => SearchService.openFolder(folder).close());
  const outside = whole.replace(/c-[0-9a-f]{12}/, '../../elsewhere');
  for (const text of ['', '[]', 'null', '{"version":1}', whole.slice(0, -9), outside]) {
    writeFileSync(join(folder, 'service.json'), text);
    assert.is(await open(), 'WINNOW_INDEX_CORRUPT', text);
  }
  writeFileSync(join(folder, 'service.json'), whole.replace('"version": 1', '"version": 2'));
  assert.is(await open(), 'WINNOW_INDEX_VERSION');
  rmSync(join(folder, 'service.json'));
  assert.is(await open(), 'WINNOW_ALREADY_EXISTS');
  writeFileSync(join(folder, 'service.json'), whole);
  assert.is(await open(), undefined);
});

test('a folder with other things in it does not become a data folder, and a reader makes none', async () => {
  const folder = tempFolder();
  assert.is(await codeOf(() => SearchService.openFolder(folder, { readOnly: true })), 'WINNOW_NOT_FOUND');
  writeFileSync(join(folder, 'letter.txt'), 'mine');
  assert.is(await codeOf(() => SearchService.openFolder(folder)), 'WINNOW_ALREADY_EXISTS');
  assert.equal(readdirSync(folder), ['letter.txt']);
});

test('a reader sees what the writer does, and changes nothing', async () => {
  const folder = join(tempFolder(), 'data');
  const writer = SearchService.openFolder(folder);
  const reader = SearchService.openFolder(folder, { readOnly: true });
  await writer.create({ name: 'books', model: null });
  await write(writer, 'books', [{ id: '1', text: 'A parcel.' }]);
  await reader.health();
  assert.equal(await idsOf(reader, 'books'), ['1']);
  assert.is(await codeOf(() => reader.create({ name: 'x', model: null })), 'WINNOW_INDEX_READ_ONLY');
  assert.is(await codeOf(() => reader.delete('books', ['1'])), 'WINNOW_INDEX_READ_ONLY');
  await reader.close();
  await writer.close();
});

test('what is refused leaves no collection behind', async () => {
  const folder = join(tempFolder(), 'data');
  const service = SearchService.openFolder(folder);
  const twice = { name: 'year', type: 'number' } as const;
  for (const [collection, code] of [
    [{ name: 'x', model: 'no-such-model' }, 'WINNOW_MODEL_NOT_FOUND'],
    [{ name: 'x', model: null, fields: [twice, twice] }, 'WINNOW_BAD_ARGUMENT'],
  ] as const)
    assert.is(await codeOf(() => service.create(collection)), code);
  assert.equal(await service.list(), []);
  assert.equal(readdirSync(join(folder, 'collections')), []);
  await service.close();
});

test('a collection whose index is damaged is listed with its error, and the others work', async () => {
  const folder = join(tempFolder(), 'data');
  let service = SearchService.openFolder(folder);
  await service.create({ name: 'good', model: null });
  await service.create({ name: 'bad', model: null });
  await service.close();
  const { collections } = JSON.parse(readFileSync(join(folder, 'service.json'), 'utf8'));
  const index = join(folder, 'collections', collections.bad.folder, 'index.mdb');
  writeFileSync(index, 'no index');
  service = SearchService.openFolder(folder);
  const [bad, good] = await service.list();
  assert.is(bad!.error?.code, 'WINNOW_INDEX_CORRUPT');
  assert.is(good!.error, undefined);
  await service.close();
});

const posix = process.platform === 'win32' ? test.skip : test;

posix('files of a data folder are for their owner alone', async () => {
  const folder = join(tempFolder(), 'data');
  const service = SearchService.openFolder(folder);
  await service.create({ name: 'books', model: null });
  mkdirSync(join(folder, 'imports'));
  service.addTask('books', { type: 'compact' });
  await service.tasks.idle();
  for (const name of ['service.json', 'tasks.json'])
    assert.is(statSync(join(folder, name)).mode & 0o077, 0, name);
  assert.is(statSync(join(folder, 'collections')).mode & 0o077, 0);
  await service.close();
});

test.run();
