import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { packageRoot } from '../../package-root.ts';
import { cliReference } from '../../scripts/docs/cli-reference.ts';
import { httpReference } from '../../scripts/docs/http-reference.ts';
import { settingsReference } from '../../scripts/docs/settings-reference.ts';

const test = suite('generated pages');

const page = (name: string): string => readFileSync(join(packageRoot, 'docs', name), 'utf8');

test('docs/http.md is what the schemas say: npm run generate:docs', async () => {
  assert.is(page('http.md'), await httpReference());
});

test('docs/cli.md is what the help says: npm run generate:docs', async () => {
  assert.is(page('cli.md'), await cliReference());
});

test('docs/settings.md is what the table says: npm run generate:docs', () => {
  assert.is(page('settings.md'), settingsReference());
});

test.run();
