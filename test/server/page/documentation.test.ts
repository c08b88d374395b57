// /documentation works in a browser, under a policy of its own; all other pages keep the strict one.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { addLighthouses, findChromium, PageBench } from './browser.ts';

const test = suite('documentation page');
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

check('an operation is tried out with the example that it shows', async () => {
  const page = await bench.open('/documentation/');
  await page.getByText('/v1/collections/{c}/search', { exact: false }).first().click();
  await page.getByRole('button', { name: 'Try it out' }).click();
  await page.locator('input[placeholder="c"]').fill('lights');
  await page.getByRole('button', { name: 'Execute' }).click();
  await page.locator('.live-responses-table .response-col_status', { hasText: '200' }).waitFor();
});

check('its scripts are files of the server, and only it may set styles inline', async () => {
  const policyOf = async (path: string) =>
    (await fetch(`${bench.origin}${path}`)).headers.get('content-security-policy') ?? '';
  const documentation = await policyOf('/documentation/');
  assert.match(documentation, /style-src 'self' 'unsafe-inline';/);
  assert.match(documentation, /default-src 'self';/);
  assert.not.match(documentation, /https:|upgrade-insecure-requests|script-src/);
  for (const path of ['/', '/v1/collections', '/openapi.json'])
    assert.not.match(await policyOf(path), /unsafe|https:/, path);
});

check('the fields of a filter stay in their column', async () => {
  const page = await bench.open('/?q=lighthouse', { viewport: { width: 1280, height: 900 } });
  await page.locator('.filters input[type="date"]').first().waitFor();
  const boxes = await page.locator('.filters input[type="date"], .filters').all();
  const [column, ...days] = await Promise.all(boxes.map((one) => one.boundingBox()));
  for (const day of days) assert.ok(day!.x + day!.width <= column!.x + column!.width + 1);
});

test.run();
