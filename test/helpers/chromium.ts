import { existsSync, readFileSync } from 'node:fs';
import { type Browser, chromium, type Page } from 'playwright-core';

/** A page as a reader sees it. */
export interface Rendered {
  readonly title: string;
  /** See `render-in-page.js`: `innerText` of the body, with images' alternative texts and <details> opened. */
  readonly text: string;
}

export interface PageSource {
  readonly content: string;
  /** `application/xhtml+xml` has the XML parser read it. */
  readonly type: 'text/html' | 'application/xhtml+xml';
}

const CANDIDATES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/** Path of an installed Chromium: `CHROMIUM`, else the usual places; undefined where there is none. */
export function findChromium(): string | undefined {
  const named = process.env.CHROMIUM;
  return (named ? [named] : CANDIDATES).find((path) => existsSync(path));
}

const renderInPage = readFileSync(new URL('./render-in-page.js', import.meta.url), 'utf8')
  .trimEnd()
  .replace(/;$/, '');

/**
 * One headless Chromium that renders pages without network, scripts or style sheets; style attributes count. The
 * scripting flag stays on, so <noscript> is hidden as it is for readers.
 */
export class Chromium {
  readonly #browser: Browser;
  readonly #page: Page;
  private constructor(browser: Browser, page: Page) {
    this.#browser = browser;
    this.#page = page;
  }

  static async start(executablePath: string): Promise<Chromium> {
    const browser = await chromium.launch({
      executablePath,
      // Tests may run as root inside a container, where the sandbox cannot start.
      args: ['--no-sandbox', '--disable-dev-shm-usage'],
    });
    const page = await browser.newPage();
    const policy =
      "default-src 'none'; frame-src blob:; style-src-elem 'none'; style-src-attr 'unsafe-inline'";
    await page.route('**/*', (route) =>
      route.request().url() === 'http://pages.test/'
        ? route.fulfill({
            contentType: 'text/html',
            headers: { 'content-security-policy': policy },
            body: '<!doctype html>',
          })
        : route.abort(),
    );
    await page.goto('http://pages.test/');
    return new Chromium(browser, page);
  }

  /** Renders the pages in order, in one call; a few hundred at a time. */
  async render(pages: readonly PageSource[]): Promise<Rendered[]> {
    return this.#page.evaluate(`(${renderInPage})(${JSON.stringify(pages)})`);
  }

  async close(): Promise<void> {
    await this.#browser.close();
  }
}
