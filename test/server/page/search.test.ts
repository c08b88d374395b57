// The search page in Chromium: queries, filters, modes, comparison, documents, keys, the address.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { addLighthouses, findChromium, PageBench, titles } from './browser.ts';

const test = suite('search page');
// Where no Chromium is installed the tests count as skipped.
const check = findChromium() === undefined ? test.skip : test;
let bench: PageBench;

if (findChromium() !== undefined) {
  test.before(async () => {
    bench = await PageBench.start();
    await addLighthouses(bench.server);
    const { call } = bench.server;
    await call('POST', '/collections', { name: 'learned', fields: [{ name: 'kind', type: 'string' }] });
    await call('POST', '/collections/learned/documents', [
      {
        id: 'car',
        title: 'Automobile',
        text: 'An automobile is driven by an engine and carries people along roads.',
        kind: 'machine',
      },
      {
        id: 'sky',
        title: 'Sky',
        text: 'The sky is blue because air scatters short wavelengths of sunlight.',
        kind: 'nature',
      },
      { id: 'x', title: '', text: '<b>bold</b> <img src=x onerror=alert(1)> markup', kind: 'machine' },
    ]);
  });
  test.after.each(() => bench.check());
  test.after(() => bench.close());
}

check('hits come while a query is typed, and the address and the back button keep it', async () => {
  const page = await bench.open('/?c=lights');
  await page.getByRole('heading', { name: 'Search 25 documents' }).waitFor();
  assert.is(await page.evaluate(() => document.activeElement?.id), 'query');
  await page.keyboard.type('lighthouse lamps');
  await page.getByRole('heading', { name: 'Hits 1 to 10' }).waitFor();
  assert.is((await titles(page))[0], 'Lighthouse 0');
  assert.ok((await page.locator('.snippet mark').count()) > 0);
  assert.match(page.url(), /c=lights&q=lighthouse\+lamps/);
  await page.getByText('Hits 1 to 10 for lighthouse lamps, BM25').waitFor({ state: 'attached' });

  await page.getByRole('button', { name: 'Next' }).click();
  await page.getByRole('heading', { name: 'Hits 11 to 20' }).waitFor();
  await page.goBack();
  await page.getByRole('heading', { name: 'Hits 1 to 10' }).waitFor();
  await page.goBack(); // typing is one step
  await page.getByRole('heading', { name: 'Search 25 documents' }).waitFor();
  await page.goto(`${bench.origin}/?c=lights&q=lighthouse&page=3`);
  await page.getByRole('heading', { name: 'Hits 21 to 25' }).waitFor();
  assert.ok(await page.getByRole('button', { name: 'Next' }).isDisabled());
});

check('a late answer does not take the place of a newer one', async () => {
  const page = await bench.open('/?c=lights', { expected: /ERR_ABORTED|ERR_FAILED/ });
  await page.getByRole('heading', { name: 'Search 25 documents' }).waitFor();
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  let asked = () => {};
  const first = new Promise<void>((resolve) => {
    asked = resolve;
  });
  await page.route('**/v1/multi-search', async (route) => {
    if (!route.request().postData()?.includes('"number 3"')) return route.continue();
    asked();
    await held;
    return route.continue().catch(() => {}); // given up by the page
  });
  await page.fill('#query', 'number 3');
  await first;
  await page.fill('#query', 'number 24');
  await page.locator('.hit').first().waitFor();
  const before = await titles(page);
  assert.is(before[0], 'Lighthouse 24');
  release();
  await page.unroute('**/v1/multi-search');
  await page.evaluate(() => fetch('/healthz'));
  assert.equal(await titles(page), before);
});

check('filters, facets and order', async () => {
  const page = await bench.open('/?c=lights&q=lighthouse');
  await page.getByRole('checkbox', { name: /stone/ }).check();
  await page.getByRole('heading', { name: '5 hits' }).waitFor();
  // Values beside the chosen one are still counted, so that they can be added.
  assert.match(await page.locator('label.value', { hasText: 'iron' }).innerText(), /20/);
  await page.getByLabel('year from').fill('1805');
  await page.getByLabel('year from').press('Enter');
  await page.getByRole('heading', { name: '4 hits' }).waitFor();
  await page.getByLabel('day to').fill('2020-01-16');
  await page.getByLabel('day to').blur();
  await page.getByRole('heading', { name: '3 hits' }).waitFor();
  await page.getByLabel('Order').selectOption('year:desc');
  await page.locator('.hit a.title', { hasText: 'Lighthouse 15' }).first().waitFor();
  await page.waitForFunction(() => document.querySelector('.hit a.title')?.textContent === 'Lighthouse 15');
  await page.reload(); // all of it is in the address
  await page.getByRole('heading', { name: '3 hits' }).waitFor();
  assert.equal(await titles(page), ['Lighthouse 15', 'Lighthouse 10', 'Lighthouse 5']);
  assert.ok(await page.getByRole('checkbox', { name: /stone/ }).isChecked());
  await page.getByRole('button', { name: 'Clear all' }).click();
  await page.getByRole('heading', { name: 'Hits 1 to 10' }).waitFor();
});

check('words that the model added, and why: by token and by stage', async () => {
  const page = await bench.open('/?c=learned&q=vehicle+sky');
  const car = page.locator('.hit', { hasText: 'Automobile' });
  await car.waitFor();
  assert.match(await car.locator('.added').innerText(), /Added by the model: .*vehicle/);
  await car.getByRole('button', { name: 'Why' }).click();
  const rows = car.locator('table.bars tbody tr');
  await rows.first().waitFor();
  const kinds = await rows.evaluateAll((all) =>
    all.map((row) => `${row.querySelector('th')?.textContent} ${row.getAttribute('data-kind')}`),
  );
  assert.ok(kinds.includes('vehicle added'), String(kinds));
  assert.ok(kinds.includes('sky missing'), String(kinds));
  assert.ok(kinds.includes('Sparse stage'), String(kinds));
  const sky = page.locator('.hit', { hasText: 'sunlight' });
  await sky.getByRole('button', { name: 'Why' }).click();
  await sky.locator('tr[data-kind="text"] th', { hasText: 'sky' }).waitFor();
  const width = await sky
    .locator('tr[data-kind="text"] .fill')
    .first()
    .evaluate((bar) => bar.getBoundingClientRect().width);
  assert.ok(width > 20, String(width));
});

check('modes, reranking with relevance, and all of them side by side', async () => {
  const page = await bench.open('/?c=learned&q=why+is+the+sky+blue');
  await page.locator('.hit').first().waitFor();
  for (const name of ['BM25', 'Hybrid']) {
    await page.getByRole('radio', { name }).check();
    await page.getByText(`for why is the sky blue, ${name}`).waitFor({ state: 'attached' });
    assert.is((await titles(page))[0], 'Sky');
  }
  await page.getByRole('radio', { name: 'Reranked' }).check();
  await page.locator('.hit .relevance').first().waitFor();
  assert.match(await page.locator('.timing').innerText(), /rerank/);
  await page.locator('.hit').first().getByRole('button', { name: 'Why' }).click();
  await page.locator('tr', { hasText: 'Cross-encoder' }).waitFor();

  await page.getByRole('button', { name: 'Compare' }).click();
  await page.getByRole('heading', { name: 'Side by side' }).waitFor();
  const columns = page.locator('.compare > section');
  assert.equal(await columns.locator('> h3').allTextContents(), ['Sparse', 'BM25', 'Hybrid', 'Reranked']);
  assert.is(await columns.locator('.timing strong').count(), 4);
  await columns.nth(1).locator('a.title').first().click();
  await page.getByRole('dialog').getByText('scatters short wavelengths').waitFor();
});

check('a document is shown whole, as text, and closes by Escape and by the back button', async () => {
  const page = await bench.open('/?c=learned&q=markup');
  await page.locator('.hit a.title', { hasText: 'x' }).first().click();
  const dialog = page.getByRole('dialog');
  await dialog.locator('.text').waitFor();
  assert.is(await dialog.locator('.text').innerText(), '<b>bold</b> <img src=x onerror=alert(1)> markup');
  assert.is(await dialog.locator('img').count(), 0);
  assert.match(page.url(), /doc=x/);
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'detached' });
  await page.waitForURL((url) => !url.searchParams.has('doc'));
  await page.goBack();
  await page.getByRole('dialog').locator('.text').waitFor();
  await page.goBack();
  await dialog.waitFor({ state: 'detached' });
});

check('all of it works with keys', async () => {
  const page = await bench.open('/?c=lights&q=lighthouse');
  await page.locator('.hit').first().waitFor();
  await page.locator('#query').blur();
  await page.keyboard.press('?');
  await page.getByRole('dialog', { name: 'Keys' }).waitFor();
  await page.keyboard.press('Escape');
  await page.keyboard.press('/');
  const focused = () =>
    page.evaluate(() => document.activeElement?.textContent || document.activeElement?.id);
  assert.is(await focused(), 'query');
  await page.keyboard.press('Enter');
  assert.is(await focused(), 'Lighthouse 0');
  await page.keyboard.press('ArrowDown');
  assert.is(await focused(), 'Lighthouse 1');
  await page.keyboard.press('w');
  await page.locator('.why table').first().waitFor();
  await page.keyboard.press('Escape');
  await page.locator('.why table').first().waitFor({ state: 'hidden' });
  await page.keyboard.press('ArrowUp');
  await page.keyboard.press('Enter');
  await page.getByRole('dialog').locator('.text').waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  assert.is(await focused(), 'Lighthouse 0');
  await page.keyboard.press('Escape');
  assert.is(await focused(), 'query');
  await page.keyboard.press('Escape');
  await page.getByRole('heading', { name: 'Search 25 documents' }).waitFor();
});

check('nothing found, unknown collections and errors say how to go on', async () => {
  const page = await bench.open('/?c=lights&q=zebra', { expected: /status of 503/ });
  await page.getByRole('heading', { name: 'Nothing found' }).waitFor();
  await page.goto(`${bench.origin}/?c=nothing&q=x`);
  await page.getByRole('heading', { name: 'No such collection' }).waitFor();
  await page.goto(`${bench.origin}/?c=lights`);
  await page.getByRole('heading', { name: 'Search 25 documents' }).waitFor();
  const failure = { code: 'WINNOW_BUSY', message: 'too much waits', hint: 'later', requestId: 'r-7' };
  await page.route('**/v1/multi-search', (route) => route.fulfill({ status: 503, json: failure }));
  await page.fill('#query', 'rock');
  const alert = page.getByRole('alert', { name: 'Error' });
  await alert.waitFor();
  for (const part of ['too much waits', 'later', 'WINNOW_BUSY', 'r-7'])
    assert.ok((await alert.innerText()).includes(part), part);
  await page.unroute('**/v1/multi-search');
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.locator('.hit').first().waitFor();
});

test.run();
