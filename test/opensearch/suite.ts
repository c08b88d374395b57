import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { suite, type Test } from 'uvu';
import { packageRoot } from '../../package-root.ts';
import { say } from '../helpers/say.ts';
import { openTestCluster, type TestCluster } from './cluster.ts';

/** Time to fetch a server from a package registry. */
const PREPARE_MS = 180_000;

/** Why no cluster can be had here; undefined where one can. */
export function clusterUnavailable(): string | undefined {
  if (process.env.WINNOW_OPENSEARCH_URL || process.env.WINNOW_OPENSEARCH_START) return undefined;
  const { WINNOW_TEST_JAVA: java = 'java' } = process.env;
  const missing = [java, 'mvn'].filter((name) => spawnSync(name, ['-version']).status !== 0);
  if (missing.length > 0) return `${missing.join(' and ')} not found`;
  const start = join(packageRoot, 'test/opensearch/start.mjs');
  const prepared = spawnSync(process.execPath, [start, '--prepare'], {
    timeout: PREPARE_MS,
    encoding: 'utf8',
  });
  if (prepared.status === 0) return undefined;
  return `the server cannot be fetched (${lastLine(prepared.stderr) ?? prepared.error?.message ?? prepared.signal})`;
}

const lastLine = (text: string): string | undefined => text.trim().split('\n').at(-1) || undefined;

/** A cluster that is started by the first test that needs it. */
export class LazyCluster {
  private readonly nodes: number;
  private opening: Promise<TestCluster> | undefined;

  constructor(nodes = 1) {
    this.nodes = nodes;
  }

  open(): Promise<TestCluster> {
    this.opening ??= openTestCluster(this.nodes);
    return this.opening;
  }

  async close(): Promise<void> {
    await (await this.opening)?.close();
  }
}

/** Runs a suite that needs a cluster, or counts it as skipped and says why. @param make registers the tests */
export function runWithCluster<Context>(
  name: string,
  make: (cluster: LazyCluster) => Test<Context>,
  nodes = 1,
): void {
  const why = clusterUnavailable();
  if (why) {
    const skipped = suite(name);
    skipped.skip(`needs a cluster: ${why}`);
    say(`${name}: skipped, because ${why} (see test/opensearch/README.md)`);
    skipped.run();
    return;
  }
  const cluster = new LazyCluster(nodes);
  const test = make(cluster);
  test.after(() => cluster.close());
  test.run();
}
