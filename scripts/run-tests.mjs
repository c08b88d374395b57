// Runs the uvu suites and ends with the line that CI reads: `N passed, N failed`.
// Refuses test files that never call `.run()`: uvu would count them as zero tests and pass.
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';

const pattern = process.argv[2] ?? '\\.test\\.ts$';
const files = readdirSync('test', { recursive: true })
  .map((name) => join('test', String(name)))
  .filter((name) => name.endsWith('.test.ts'));
const silent = files.filter((name) => !/^\s*[\w.]+\.run\(\);?\s*$/m.test(readFileSync(name, 'utf8')));
if (silent.length > 0) {
  console.error(
    `these test files never call suite.run(), so their tests would not run:\n  ${silent.join('\n  ')}`,
  );
  process.exit(1);
}

// uvu's exports map hides bin.js, so it is found beside its entry file.
const uvu = join(dirname(createRequire(import.meta.url).resolve('uvu')), '..', 'bin.js');
const child = spawn(process.execPath, ['--import', 'tsx', uvu, 'test', pattern], {
  stdio: ['ignore', 'pipe', 'inherit'],
});
let output = '';
child.stdout.on('data', (chunk) => {
  process.stdout.write(chunk);
  output += chunk;
});
child.on('close', (code) => {
  const plain = stripVTControlCharacters(output);
  const count = (label) => Number(new RegExp(`${label}:\\s+(\\d+)`).exec(plain)?.[1] ?? 0);
  const total = count('Total');
  const passed = count('Passed');
  const failed = Math.max(total - passed, code === 0 ? 0 : 1);
  const skipped = count('Skipped');
  console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
  // A pattern that finds nothing is a mistake; a machine that lacks what all of its tests need is none.
  process.exit(code === 0 && failed === 0 && total + skipped > 0 ? 0 : 1);
});
