// Starts a real OpenSearch from Maven artifacts, for tests: node test/opensearch/start.mjs --data DIR [--nodes N] [--only I] [--http-port P]
// [--transport-port T]. Needs Java and Maven. It ends when its standard input ends. With --prepare it only fetches what it needs.
// Variables: README.md.
import { spawn, spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

/** What the server is compiled against: it runs with later versions, whose classes an older Java cannot read. */
const OLDEST = '2.19.1.0';
const PLUGINS = ['org.opensearch.knn.plugin.KNNPlugin', 'org.opensearch.neuralsearch.plugin.NeuralSearch'];

const {
  WINNOW_TEST_OPENSEARCH: version = OLDEST,
  WINNOW_TEST_JAVA: java = 'java',
  HEAP = '700m',
} = process.env;
const withPlugins = process.env.WINNOW_TEST_OPENSEARCH_PLUGINS === '1';
const here = join(import.meta.dirname, 'server');
const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'winnow', 'opensearch');
mkdirSync(cache, { recursive: true });

const options = process.argv.slice(2);
const data = options[options.indexOf('--data') + 1] ?? tmpdir();
const path = [compiled(), classPath(version), ...(withPlugins ? [join(plugins(version), '*')] : [])];
if (options.includes('--prepare')) process.exit(0);
const server = spawn(
  java,
  [
    `-Xmx${HEAP}`,
    `-Dserver.log=${join(data, `server${options.includes('--only') ? options[options.indexOf('--only') + 1] : ''}.log`)}`,
    '-cp',
    [here, ...path].join(delimiter),
    'TestServer',
    ...options,
    ...(withPlugins ? ['--plugins', PLUGINS.join(',')] : []),
  ],
  { stdio: 'inherit' },
);
server.on('error', (error) => fail(`${java}: ${error.message}`));
server.on('exit', (code) => process.exit(code ?? 1));
process.on('SIGTERM', () => server.kill());

/** The class path of a version of the server, which Maven fetches once. */
function classPath(wanted) {
  const file = join(cache, `${wanted}.classpath`);
  if (!isComplete(file)) whole(file, (made) => maven('build-classpath', wanted, `-Dmdep.outputFile=${made}`));
  return readFileSync(file, 'utf8').trim();
}

/** Folder of the classes of TestServer.java. */
function compiled() {
  const folder = join(cache, 'classes');
  const source = join(here, 'TestServer.java');
  const copy = join(folder, 'TestServer.java');
  if (existsSync(copy) && readFileSync(copy, 'utf8') === readFileSync(source, 'utf8')) return folder;
  const library = classPath(OLDEST);
  whole(folder, (made) => {
    // The compiler as a module: runtimes without the command `javac` have it, too.
    run('java', [
      '-m',
      'jdk.compiler/com.sun.tools.javac.Main',
      '--release',
      '17',
      '-cp',
      library,
      '-d',
      made,
      source,
    ]);
    copyFileSync(source, join(made, 'TestServer.java'));
  });
  return folder;
}

/** Folder of the k-NN and neural-search plugins. */
function plugins(wanted) {
  const folder = join(cache, `${wanted}-plugins`);
  if (existsSync(folder) && readdirSync(folder).length > 0) return folder;
  whole(folder, (made) => maven('unpack', wanted, `-DoutputDirectory=${made}`));
  return folder;
}

function maven(goal, wanted, ...parameters) {
  const plugin = `org.apache.maven.plugins:maven-dependency-plugin:3.6.1:${goal}`;
  run('mvn', [
    '-B',
    '-q',
    '-f',
    join(here, 'pom.xml'),
    plugin,
    `-Dopensearch.version=${wanted}`,
    ...parameters,
  ]);
}

function run(program, parameters) {
  const { status, error } = spawnSync(program, parameters, { stdio: ['ignore', 2, 2] });
  if (status !== 0) fail(`${program} ended with ${error?.message ?? status}`);
}

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

/** Makes a file or folder under another name first: what is there is whole, also where several processes make it. */
function whole(target, make) {
  const made = join(mkdtempSync(join(cache, 'making-')), 'made');
  make(made);
  rmSync(target, { recursive: true, force: true });
  try {
    renameSync(made, target);
  } catch (error) {
    // Another process was faster.
    if (!existsSync(target)) throw error;
  }
  rmSync(join(made, '..'), { recursive: true, force: true });
}

/** Whether the class path was made and nothing of it was deleted since. */
function isComplete(file) {
  return (
    existsSync(file) &&
    readFileSync(file, 'utf8')
      .trim()
      .split(delimiter)
      .every((one) => existsSync(one))
  );
}
