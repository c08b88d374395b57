import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import * as assert from 'uvu/assert';
import { findChromium } from '../../helpers/chromium.ts';
import { startV1, type V1Server } from '../v1/start.ts';

export { findChromium };

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** A server and a browser for its page. Whatever the page does wrong is kept. */
export class PageBench {
  /** Console errors, uncaught errors, refusals of the content security policy, and requests to other hosts. */
  readonly problems: string[] = [];
  readonly server: V1Server;
  private readonly browser: Browser;

  private constructor(server: V1Server, browser: Browser) {
    this.server = server;
    this.browser = browser;
  }

  static async start(options: Parameters<typeof startV1>[0] = {}): Promise<PageBench> {
    const browser = await chromium.launch({
      executablePath: findChromium()!,
      args: ['--no-sandbox', '--disable-dev-shm-usage'],
    });
    return new PageBench(await startV1(options), browser);
  }

  get origin(): string {
    return `http://127.0.0.1:${this.server.port}`;
  }

  /** @param options `expected`: console errors that the test causes on purpose */
  async open(
    path: string,
    { expected, ...context }: BrowserContextOptions & { expected?: RegExp } = {},
  ): Promise<Page> {
    const page = await (await this.browser.newContext(context)).newPage();
    // A loaded machine is slow; nothing here is about time.
    page.setDefaultTimeout(20_000);
    page.on('console', (message) => {
      if (message.type() === 'error' && !expected?.test(message.text()))
        this.problems.push(`console: ${message.text()}`);
    });
    page.on('pageerror', (error) => this.problems.push(`uncaught: ${error.message}`));
    page.on('request', (request) => {
      if (!request.url().startsWith(this.origin)) this.problems.push(`request to ${request.url()}`);
    });
    await page.goto(`${this.origin}${path}`);
    return page;
  }

  /** Fails where the page did something wrong since the last call. */
  check(): void {
    assert.equal(this.problems.splice(0), []);
  }

  async close(): Promise<void> {
    await this.browser.close();
    await this.server.close();
  }
}

/**
 * What axe-core finds wrong, one line per rule and element.
 *
 * @param rules only these; default: all
 */
export async function axeViolations(page: Page, ...rules: string[]): Promise<string[]> {
  // Not as a script tag, which the policy refuses.
  if (!(await page.evaluate(() => 'axe' in globalThis))) await page.evaluate(axe);
  return page.evaluate(async (runOnly) => {
    // biome-ignore lint/suspicious/noExplicitAny: a global of the script above
    const { violations } = await (globalThis as any).axe.run(runOnly.length > 0 ? { runOnly } : {});
    return violations.flatMap(({ id, nodes }: { id: string; nodes: { target: string[]; html: string }[] }) =>
      nodes.map(({ target, html }) => `${id}: ${target.join(' ')} ${html.slice(0, 120)}`),
    );
  }, rules);
}

export const titles = (page: Page): Promise<string[]> => page.locator('.hit a.title').allTextContents();

/** Words alone, so that no model is needed: 25 documents on lighthouses, of two kinds. */
export async function addLighthouses({ call }: V1Server): Promise<void> {
  const fields = [
    { name: 'kind', type: 'string' },
    { name: 'year', type: 'number' },
    { name: 'day', type: 'date' },
    { name: 'open', type: 'boolean' },
  ];
  assert.is((await call('POST', '/collections', { name: 'lights', model: null, fields })).status, 201);
  const rows = Array.from({ length: 25 }, (_, i) => ({
    id: `light-${i}`,
    title: `Lighthouse ${i}`,
    // The first ones say it more often, so their order is known.
    text: `The lighthouse stands on rock number ${i}. ${'Lighthouse lamps shine. '.repeat(25 - i)}`,
    kind: i % 5 === 0 ? 'stone' : 'iron',
    year: 1800 + i,
    day: `2020-01-${String(i + 1).padStart(2, '0')}`,
    open: i % 2 === 0,
  }));
  const { body } = await call('POST', '/collections/lights/documents', rows);
  assert.is(body.summary.added, 25);
}
