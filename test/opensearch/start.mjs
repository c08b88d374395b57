// Starts a real OpenSearch from Maven artifacts, for tests: node test/opensearch/start.mjs --data DIR [--nodes N] [--http-port P]
// [--transport-port T]. Needs Java 17 or later and Maven. It ends when its standard input ends.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

const here = join(import.meta.dirname, 'server');
const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'winnow');
const classPathFile = join(cache, 'opensearch-2.19.1.0.classpath');

if (!isComplete()) {
  mkdirSync(cache, { recursive: true });
  const made = join(mkdtempSync(join(tmpdir(), 'winnow-classpath-')), 'classpath');
  const goal = 'org.apache.maven.plugins:maven-dependency-plugin:3.6.1:build-classpath';
  const { status } = spawnSync(
    'mvn',
    ['-B', '-q', '-f', join(here, 'pom.xml'), goal, `-Dmdep.outputFile=${made}`],
    { stdio: ['ignore', 2, 2] },
  );
  if (status !== 0) process.exit(1);
  const partial = `${classPathFile}.${process.pid}`;
  await import('node:fs/promises').then(({ copyFile }) => copyFile(made, partial));
  renameSync(partial, classPathFile);
}

const options = process.argv.slice(2);
const data = options[options.indexOf('--data') + 1] ?? tmpdir();
const java = spawn(
  'java',
  [
    `-Xmx${process.env.HEAP ?? '700m'}`,
    `-Dserver.log=${join(data, 'server.log')}`,
    '-cp',
    [here, readFileSync(classPathFile, 'utf8').trim()].join(delimiter),
    join(here, 'TestServer.java'),
    ...options,
  ],
  { stdio: 'inherit' },
);
java.on('exit', (code) => process.exit(code ?? 1));
process.on('SIGTERM', () => java.kill());

/** Whether the class path was made and nothing of it was deleted since. */
function isComplete() {
  return (
    existsSync(classPathFile) &&
    readFileSync(classPathFile, 'utf8')
      .trim()
      .split(delimiter)
      .every((path) => existsSync(path))
  );
}
