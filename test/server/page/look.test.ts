// The search page for everyone: axe-core finds nothing in light, dark and on a phone; nothing is wider than the screen.
import type { Page } from 'playwright-core';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { addLighthouses, axeViolations, findChromium, PageBench } from './browser.ts';

const test = suite('search page for everyone');
// Where no Chromium is installed the tests count as skipped.
const check = findChromium() === undefined ? test.skip : test;
let bench: PageBench;

if (findChromium() !== undefined) {
  test.before(async () => {
    bench = await PageBench.start();
    await addLighthouses(bench.server);
  });
  test.after.each(() => bench.check());
  test.after(() => bench.close());
}

/** Each state of the page, by what it takes to be in it. */
const STATES: Readonly<Record<string, (page: Page) => Promise<unknown>>> = {
  start: (page) => page.getByRole('heading', { name: 'Search 25 documents' }).waitFor(),
  hits: async (page) => {
    await page.fill('#query', 'lighthouse');
    await page.locator('.hit').first().waitFor();
  },
  why: async (page) => {
    await page.getByRole('button', { name: 'Why' }).first().click();
    await page.locator('.why table').first().waitFor();
  },
  compare: async (page) => {
    await page.getByRole('button', { name: 'Compare' }).click();
    await page.getByRole('heading', { name: 'Side by side' }).waitFor();
  },
  document: async (page) => {
    await page.locator('a.title').first().click();
    await page.getByRole('dialog').locator('.text').waitFor();
  },
  nothing: async (page) => {
    await page.keyboard.press('Escape');
    await page.fill('#query', 'zebra');
    await page.getByText('Nothing found').first().waitFor();
  },
  add: async (page) => {
    await page.getByRole('link', { name: 'Add', exact: true }).click();
    await page.getByText('New collection').click();
    await page.getByRole('button', { name: 'Add a field' }).click();
  },
  statistics: async (page) => {
    await page.getByRole('link', { name: 'Statistics' }).click();
    await page.locator('.plot canvas').first().waitFor();
    await page.getByText('Figures as a table').first().click();
  },
};

async function requireFits(page: Page, state: string): Promise<void> {
  const { inner, needed } = await page.evaluate(() => ({
    inner: document.documentElement.clientWidth,
    needed: document.documentElement.scrollWidth,
  }));
  assert.ok(needed <= inner, `${state}: ${needed} of ${inner} pixels`);
}

check('light and dark: no violation, and no sideways scrolling', async () => {
  const viewport = { width: 1280, height: 800 };
  const page = await bench.open('/?c=lights', { viewport, reducedMotion: 'reduce', colorScheme: 'light' });
  for (const [state, reach] of Object.entries(STATES)) {
    await reach(page);
    assert.equal(await axeViolations(page), [], state);
    await requireFits(page, state);
    // In the dark only colours differ.
    await page.emulateMedia({ colorScheme: 'dark' });
    assert.equal(await axeViolations(page, 'color-contrast'), [], `dark, ${state}`);
    await page.emulateMedia({ colorScheme: 'light' });
  }
});

check('phone: no violation, and no sideways scrolling', async () => {
  const viewport = { width: 360, height: 740 };
  const page = await bench.open('/?c=lights', { viewport, reducedMotion: 'reduce', hasTouch: true });
  for (const [state, reach] of Object.entries(STATES)) {
    await reach(page);
    assert.equal(await axeViolations(page), [], state);
    await requireFits(page, state);
  }
});

check('the switch changes the colours, and they stay', async () => {
  const page = await bench.open('/', { colorScheme: 'light' });
  const background = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  const light = await background();
  await page.getByRole('button', { name: 'Dark' }).click();
  const dark = await background();
  assert.is.not(dark, light);
  await page.reload();
  await page.getByRole('button', { name: 'Light' }).waitFor();
  assert.is(await background(), dark);
});

check('the policy of the page allows nothing inline, and the watchers of these tests see it', async () => {
  const page = await bench.open('/');
  const response = await page.reload();
  const policy = response?.headers()['content-security-policy'] ?? '';
  assert.match(policy, /default-src 'self'/);
  assert.not.match(policy, /unsafe|https?:|\*/);
  await page.evaluate(() => {
    document.body.setAttribute('onclick', 'x()');
    const image = new Image();
    image.src = 'http://elsewhere.test/x.png';
  });
  await page.waitForFunction(() => document.body.hasAttribute('onclick'));
  await page.evaluate(() => fetch('/healthz'));
  assert.ok(bench.problems.length >= 1, 'a violation was not seen');
  bench.problems.splice(0);
});

test.run();
