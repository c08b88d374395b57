// Joins the compiled command line interface into few files: dist/cli/main.js, and dist/cli/chunks/ for what a command loads when it
// needs it. A search of one query spent a fifth of its time on opening and linking some 220 modules. Packages stay outside, and so
// does what runs in threads, which is started by its path in dist/.
import { renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';

const dist = join(import.meta.dirname, '..', 'dist');
const bundle = join(dist, 'cli-bundle');
await build({
  entryPoints: [join(dist, 'cli', 'main.js')],
  bundle: true,
  packages: 'external',
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  sourcemap: true,
  sourcesContent: false,
  outdir: bundle,
  chunkNames: 'chunks/[name]-[hash]',
  logLevel: 'warning',
});
rmSync(join(dist, 'cli'), { recursive: true });
renameSync(bundle, join(dist, 'cli'));
