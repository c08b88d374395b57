// The search page in Chromium: creating collections, files, pasted texts, keys of the server, a server that is gone.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createKey, keyFileOf } from '../../../server/keys/key-file.ts';
import { tempFolder } from '../../helpers/temp-folder.ts';
import { addLighthouses, findChromium, PageBench, titles } from './browser.ts';

const test = suite('adding on the search page');
// Where no Chromium is installed the tests count as skipped.
const check = findChromium() === undefined ? test.skip : test;
let bench: PageBench;

if (findChromium() !== undefined) {
  test.before(async () => {
    bench = await PageBench.start();
  });
  test.after.each(() => bench.check());
  test.after(() => bench.close());
}

const file = (name: string, content: string) => ({
  name,
  mimeType: 'application/octet-stream',
  buffer: Buffer.from(content),
});

check(
  'from an empty server to a hit: collection, files of all kinds, errors by line, a pasted text',
  async () => {
    const page = await bench.open('/');
    await page.getByRole('heading', { name: 'No collections yet' }).waitFor();
    await page.getByRole('button', { name: 'Create the first collection' }).click();
    await page.getByLabel('Name', { exact: true }).fill('mine');
    await page.getByLabel('Words alone').check();
    await page.getByRole('button', { name: 'Add a field' }).click();
    await page.getByLabel('Name of the field').fill('kind');
    await page.getByRole('button', { name: 'Create', exact: true }).click();
    await page.getByRole('heading', { name: 'Add to mine' }).waitFor();

    await page.setInputFiles('#files', [
      file('rain.md', '# Rain\n\nRain falls from *clouds*.'),
      file('page.html', '<title>Wind</title><script>var hidden = 1</script><p>Wind moves air.</p>'),
      file('snow.txt', 'Snow is frozen water.'),
      file('rows.csv', 'id,text,kind\nc1,Fog is a cloud at the ground.,weather\nc2,,weather\n'),
      file(
        'rows.jsonl',
        `{"id":"j1","text":"Hail is ice."}\n{broken\n\n{"id":"j2"}\n{"id":"j3","text":"Sleet."}`,
      ),
      file('image.png', 'no text'),
    ]);
    const state = (name: string, is: string) =>
      page.locator(`.upload[data-state="${is}"]`, { hasText: name }).waitFor();
    await state('rain.md', 'done');
    await state('page.html', 'done');
    await state('snow.txt', 'done');
    await state('rows.csv', 'partly');
    await state('rows.jsonl', 'partly');
    await state('image.png', 'failed');
    const lines = page.locator('.upload', { hasText: 'rows.jsonl' });
    assert.match(await lines.innerText(), /2 documents stored · 2 lines failed/);
    assert.match(await lines.locator('.line-errors').innerText(), /Line 2: [\s\S]*Line 4 \(j2\): /);
    assert.not.match(await page.locator('.uploads').innerText(), /winnow-upload|tmp/);

    await page.locator('#paste-title').fill('Thunder');
    await page.locator('#paste-text').fill('Thunder follows lightning.');
    await page.getByRole('button', { name: 'Add the text' }).click();
    await state('Thunder', 'done');
    assert.is(await page.locator('#paste-text').inputValue(), '');

    await page.getByRole('link', { name: 'Search', exact: true }).click();
    for (const [query, title] of [
      ['falls', 'Rain'],
      ['moves', 'Wind'],
      ['frozen', 'snow'],
      ['lightning', 'Thunder'],
    ]) {
      await page.fill('#query', query!);
      await page.waitForFunction(
        (wanted) => document.querySelector('.hit a.title')?.textContent === wanted,
        title,
      );
    }
    await page.fill('#query', 'hidden');
    await page.getByRole('heading', { name: 'Nothing found' }).waitFor();
  },
);

check('long files go in batches with their own line numbers', async () => {
  const { call } = bench.server;
  await call('POST', '/collections', { name: 'long', model: null });
  const page = await bench.open('/?c=long&view=add');
  const rows = Array.from({ length: 600 }, (_, i) =>
    i === 512 ? '{"id":' : JSON.stringify({ id: `r${i}`, text: `row ${i}` }),
  );
  let requests = 0;
  page.on('request', (request) => {
    if (request.url().endsWith('/documents')) requests++;
  });
  await page.setInputFiles('#files', file('long.jsonl', rows.join('\n')));
  const item = page.locator('.upload[data-state="partly"]');
  await item.waitFor();
  assert.match(await item.innerText(), /599 documents stored · 1 line failed[\s\S]*Line 513/);
  assert.is(requests, 5);
  assert.is((await call('GET', '/collections/long/stats')).body.sources, 599);
});

check('statistics have plots, with the same figures as tables', async () => {
  await addLighthouses(bench.server);
  const page = await bench.open('/?c=lights&q=lamps');
  await page.locator('.hit').first().waitFor();
  await page.getByRole('link', { name: 'Statistics' }).click();
  await page.getByRole('heading', { name: 'Statistics of lights' }).waitFor();
  await page.locator('.plot canvas').nth(2).waitFor();
  assert.is(await page.locator('.plot canvas').count(), 3);
  const table = page.locator('figure', { hasText: 'Documents by collection' });
  await table.getByText('Figures as a table').click();
  assert.match(await table.locator('tr', { hasText: 'lights' }).innerText(), /25/);
  assert.match(await page.locator('.cards').innerText(), /Documents\s+25/);
});

check('a server that is gone is waited for', async () => {
  const page = await bench.open('/?c=lights&q=lamps', { expected: /ERR_INTERNET_DISCONNECTED/ });
  await page.locator('.hit').first().waitFor();
  await page.context().setOffline(true);
  await page.fill('#query', 'rock');
  await page.getByText('Trying again…').waitFor();
  await page.getByRole('alert', { name: 'Error' }).waitFor();
  await page.context().setOffline(false);
  await page.getByText('Trying again…').waitFor({ state: 'detached' });
  await page.locator('.hit').first().waitFor();
});

check('a server with keys asks for one, says when it is refused, and keeps it for the tab', async () => {
  const folder = tempFolder();
  const { token } = createKey(folder, { scopes: ['read'] });
  const guarded = await PageBench.start({ keys: keyFileOf(folder) });
  try {
    const page = await guarded.open('/', { expected: /status of 401/ });
    const dialog = page.getByRole('dialog', { name: 'Key' });
    await dialog.getByLabel('Key', { exact: true }).fill('wrong');
    await dialog.getByRole('button', { name: 'Continue' }).click();
    await dialog.getByRole('alert').waitFor();
    await dialog.getByLabel('Key', { exact: true }).fill(token);
    await dialog.getByRole('button', { name: 'Continue' }).click();
    await page.getByRole('heading', { name: 'No collections yet' }).waitFor();
    await page.reload();
    await page.getByRole('heading', { name: 'No collections yet' }).waitFor();
    assert.is(await page.evaluate(() => localStorage.length), 0);
    assert.equal(await titles(page), []);
    guarded.check();
  } finally {
    await guarded.close();
  }
});

test.run();
