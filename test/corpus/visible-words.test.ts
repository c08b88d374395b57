// What is read of a page is what a browser shows of it: every word of Chromium's innerText, and no other.
// WINNOW_PAGES=n renders that many generated documents per property and real files (default 120).
import { readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import fc from 'fast-check';
import { micromark } from 'micromark';
import { gfmStrikethrough, gfmStrikethroughHtml } from 'micromark-extension-gfm-strikethrough';
import { gfmTable, gfmTableHtml } from 'micromark-extension-gfm-table';
import { gfmTaskListItem, gfmTaskListItemHtml } from 'micromark-extension-gfm-task-list-item';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { splitFrontMatter } from '../../corpus/front-matter.ts';
import { parseHtml } from '../../corpus/html.ts';
import { parseMarkdown } from '../../corpus/markdown.ts';
import { Chromium, findChromium, type PageSource } from '../helpers/chromium.ts';
import { brokenHtml, markdown, wellFormedHtml } from '../helpers/markup.ts';

const test = suite('words that a browser shows');
const executable = findChromium();
// Where no Chromium is installed the tests count as skipped.
const check = executable === undefined ? test.skip : test;
const PAGES = Number(process.env.WINNOW_PAGES ?? 120);
const seed = process.env.FC_SEED ? Number(process.env.FC_SEED) : Date.now() & 0x7fffffff;
let browser: Chromium;
if (executable !== undefined) {
  test.before(async () => {
    browser = await Chromium.start(executable);
  });
  test.after(() => browser.close());
}

interface Sample {
  readonly name: string;
  readonly page: PageSource;
  readonly read: { readonly title: string; readonly text: string };
}

function words(text: string): string[] {
  return (
    text
      .normalize('NFKC')
      .replace(/[\p{Cf}\u200b]/gu, '')
      .match(/[\p{L}\p{N}\p{M}]+/gu) ?? []
  );
}

/** Samples whose words differ from those shown, with the first difference. */
async function differences(samples: readonly Sample[]): Promise<string[]> {
  const found: string[] = [];
  for (let at = 0; at < samples.length; at += 100) {
    const batch = samples.slice(at, at + 100);
    const shown = await browser.render(batch.map(({ page }) => page));
    for (const [i, { name, page, read }] of batch.entries()) {
      const expected = words(shown[i]!.text);
      const given = words(read.text);
      const first = expected.findIndex((word, at) => word !== given[at]);
      if (first < 0 && expected.length === given.length) continue;
      const from = Math.max(0, (first < 0 ? expected.length : first) - 3);
      found.push(
        `${name}\n  shown: ${expected.slice(from, from + 12).join(' ')}\n  read:  ${given.slice(from, from + 12).join(' ')}` +
          (page.content.length < 2_000 ? `\n  page:  ${JSON.stringify(page.content)}` : ''),
      );
    }
  }
  return found;
}

function htmlSample(source: string, name: string): Sample {
  const xhtml = /\.xht(?:ml)?$/.test(name);
  return {
    name,
    page: { content: source, type: xhtml ? 'application/xhtml+xml' : 'text/html' },
    read: parseHtml(source, xhtml ? { xhtml } : {}),
  };
}

/** Rendered by another CommonMark implementation than the one that reads. */
function markdownSample(source: string, name: string): Sample {
  const page = micromark(splitFrontMatter(source).body, {
    allowDangerousHtml: true,
    allowDangerousProtocol: true,
    extensions: [gfmTable(), gfmStrikethrough({ singleTilde: false }), gfmTaskListItem()],
    htmlExtensions: [gfmTableHtml(), gfmStrikethroughHtml(), gfmTaskListItemHtml()],
  });
  return {
    name,
    page: { content: `<!doctype html><body>${page}`, type: 'text/html' },
    read: parseMarkdown(source),
  };
}

for (const [name, sources, sample] of [
  ['HTML', wellFormedHtml, htmlSample],
  ['broken HTML', brokenHtml, htmlSample],
  ['Markdown', markdown, markdownSample],
] as const) {
  check(`generated ${name}`, async () => {
    const samples = fc
      .sample(sources, { numRuns: PAGES, seed })
      .map((source, i) =>
        sample(sample === htmlSample ? `<!doctype html><body>${source}` : source, `FC_SEED=${seed} ${i}`),
      );
    const found = await differences(samples);
    // micromark has faults of its own: lost line ends of code in lists, emphasis of `*a*b*c *d**`.
    const allowed = name === 'Markdown' ? PAGES / 100 : 0;
    assert.ok(
      found.length <= allowed,
      `${found.length} of ${samples.length} differ\n${found.slice(0, 5).join('\n')}`,
    );
  });
}

/** With WINNOW_PAGES all differences are shown. */
function report(kind: string, count: number, found: readonly string[]): void {
  if (process.env.WINNOW_PAGES)
    process.stdout.write(`${count - found.length} of ${count} ${kind} files agree\n${found.join('\n')}\n`);
}

function filesBelow(folder: string, endings: readonly string[]): string[] {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && endings.includes(extname(entry.name)))
      .map((entry) => join(entry.parentPath, entry.name))
      .sort();
  } catch {
    return [];
  }
}

/** At most `count` files, spread evenly. */
function spread(files: readonly string[], count: number): string[] {
  const step = Math.max(1, files.length / count);
  return Array.from({ length: Math.min(count, files.length) }, (_, i) => files[Math.floor(i * step)]!);
}

// The marks of footnotes are not read as words: with the faults of micromark, the few differences that are left. Which files are in
// the sample depends on the packages that are installed: of 120 files it had 2 to 4 such ones.
check('README files of installed packages', async () => {
  const files = spread(filesBelow('node_modules', ['.md', '.markdown']), PAGES);
  assert.ok(files.length > 50);
  const found = await differences(files.map((file) => markdownSample(readFileSync(file, 'utf8'), file)));
  report('Markdown', files.length, found);
  assert.ok(found.length <= files.length * 0.04, found.slice(0, 5).join('\n'));
});

const pages = spread(
  ['/usr/share/doc', '/usr/lib/python3', '/usr/local/lib', 'node_modules'].flatMap((folder) =>
    filesBelow(folder, ['.html', '.htm', '.xhtml']),
  ),
  PAGES,
);
(pages.length > 0 ? check : test.skip)('HTML pages of installed packages', async () => {
  const found = await differences(pages.map((file) => htmlSample(readFileSync(file, 'utf8'), file)));
  report('HTML', pages.length, found);
  assert.ok(found.length <= Math.ceil(pages.length * 0.02), found.slice(0, 5).join('\n'));
});

test.run();
