// Writes docs/http.md from the schemas of the server docs/cli.md from the help of the commands and
// docs/settings.md from the table of settings: `npm run generate:docs`.
// A test compares the files with what this prints, so that they cannot fall behind.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../package-root.ts';
import { cliReference } from './docs/cli-reference.ts';
import { httpReference } from './docs/http-reference.ts';
import { settingsReference } from './docs/settings-reference.ts';

writeFileSync(join(packageRoot, 'docs/http.md'), await httpReference());
writeFileSync(join(packageRoot, 'docs/cli.md'), await cliReference());
writeFileSync(join(packageRoot, 'docs/settings.md'), settingsReference());
