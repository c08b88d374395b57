import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { packageRoot } from '../../package-root.ts';
import { tempFolder } from '../helpers/temp-folder.ts';

/** A running cluster. */
export interface TestCluster {
  /** Addresses of its nodes. */
  readonly urls: readonly string[];
  /** Sends `stop N` or `start N` and waits for the answer; only for clusters of one process that were started here. */
  command(line: string): Promise<string>;
  /** Ends what was started here. */
  close(): Promise<void>;
}

const START_MS = 240_000;

/** Where no cluster can be had, why; the tests are then skipped with this text. */
class NoCluster extends Error {}

/**
 * The cluster at WINNOW_OPENSEARCH_URL, or one that is started by the script at WINNOW_OPENSEARCH_START, or by `start.mjs` beside this
 * file, which needs Java and Maven. Such a script takes `--data DIR --nodes N --http-port P --transport-port T`, prints a line that
 * begins with READY, and ends when its standard input ends.
 */
export async function openTestCluster(nodes = 1): Promise<TestCluster> {
  const { WINNOW_OPENSEARCH_URL: url } = process.env;
  if (url && nodes === 1) return { urls: [url], command: async () => '', close: async () => {} };
  const place = newPlace(nodes);
  const { child, answers } = start(place);
  await answers.next('READY', START_MS);
  return {
    urls: urlsOf(place),
    command: async (line) => {
      child.stdin!.write(`${line}\n`);
      return answers.next('', START_MS);
    },
    close: () => ended(child),
  };
}

/** A cluster whose nodes are processes of their own, numbered from 1, so that one can be killed. */
export interface NodeCluster extends Pick<TestCluster, 'urls' | 'close'> {
  /** Ends a node with SIGKILL. */
  kill(node: number): Promise<void>;
  /** Starts a node again, and waits until it has joined the cluster. */
  start(node: number): Promise<void>;
}

/** As {@link openTestCluster}; the script also takes `--only I`, and says `pid=N` on its READY line. */
export async function openNodeCluster(nodes: number): Promise<NodeCluster> {
  const place = newPlace(nodes);
  const running = new Map<number, Started & { readonly pid: number }>();
  const startNode = async (node: number): Promise<void> => {
    const started = start(place, node);
    const line = await started.answers.next('READY', START_MS);
    running.set(node, { ...started, pid: Number(/pid=(\d+)/.exec(line)![1]) });
  };
  const all = Array.from({ length: nodes }, (_, i) => i + 1);
  await Promise.all(all.map(startNode));
  return {
    urls: urlsOf(place),
    async kill(node) {
      const { pid, child } = running.get(node)!;
      const exit =
        child.exitCode === null ? new Promise((resolve) => child.once('exit', resolve)) : undefined;
      process.kill(pid, 'SIGKILL');
      await exit;
    },
    start: startNode,
    async close() {
      await Promise.all([...running.values()].map(({ child }) => ended(child)));
    },
  };
}

interface Place {
  readonly data: string;
  readonly nodes: number;
  readonly port: number;
}

interface Started {
  readonly child: ChildProcess;
  readonly answers: ReturnType<typeof readAnswers>;
}

const newPlace = (nodes: number): Place => ({
  data: tempFolder(),
  nodes,
  port: 20_000 + Math.floor(Math.random() * 10_000),
});

const urlsOf = ({ nodes, port }: Place): string[] =>
  Array.from({ length: nodes }, (_, i) => `http://127.0.0.1:${port + i}`);

function start({ data, nodes, port }: Place, only?: number): Started {
  const { WINNOW_OPENSEARCH_START: script } = process.env;
  const args = ['--data', data, '--nodes', String(nodes), '--http-port', String(port)];
  args.push('--transport-port', String(port + 100));
  if (only !== undefined) args.push('--only', String(only));
  const [program, ...before] = script
    ? [script]
    : [process.execPath, join(packageRoot, 'test/opensearch/start.mjs')];
  const child = spawn(program!, [...before, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
  return { child, answers: readAnswers(child) };
}

function readAnswers(child: ChildProcess): { next(prefix: string, ms: number): Promise<string> } {
  const lines: string[] = [];
  let errors = '';
  let wake = (): void => {};
  let failure: Error | undefined;
  createInterface({ input: child.stdout! }).on('line', (line) => {
    if (/^(READY|STOPPED|STARTED|NOTSTARTED|FAILED|UNKNOWN)\b/.test(line)) lines.push(line);
    wake();
  });
  child.stderr!.on('data', (chunk) => {
    errors = `${errors}${chunk}`.slice(0, 20_000);
  });
  child.on('error', (error) => {
    failure = new NoCluster(error.message);
    wake();
  });
  child.on('exit', () => {
    failure ??= new NoCluster(reasonIn(errors) || 'the server ended');
    wake();
  });
  return {
    async next(prefix, ms) {
      const timer = setTimeout(() => {
        failure ??= new NoCluster(`the server did not answer within ${ms / 1000} s`);
        wake();
      }, ms);
      try {
        for (;;) {
          const at = lines.findIndex((line) => line.startsWith(prefix));
          if (at >= 0) return lines.splice(0, at + 1).at(-1)!;
          if (failure) throw failure;
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      } finally {
        clearTimeout(timer);
      }
    },
  };
}

/** The first lines that are neither warnings nor places in the code. */
const reasonIn = (errors: string): string =>
  errors
    .split('\n')
    .filter((line) => line.trim() !== '' && !/^\s+at |WARN|SLF4J/.test(line))
    .slice(0, 6)
    .join('\n');

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const exit = new Promise((resolve) => child.once('exit', resolve));
  child.stdin!.end();
  const timer = setTimeout(() => child.kill('SIGKILL'), 20_000);
  await exit;
  clearTimeout(timer);
}
