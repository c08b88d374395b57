import { spawnSync } from 'node:child_process';
import { suite, type Test } from 'uvu';
import { say } from '../helpers/say.ts';
import { openTestCluster, type TestCluster } from './cluster.ts';

/** Why no cluster can be had here; undefined where one can. */
export function clusterUnavailable(): string | undefined {
  if (process.env.WINNOW_OPENSEARCH_URL || process.env.WINNOW_OPENSEARCH_START) return undefined;
  const missing = ['java', 'mvn'].filter((name) => spawnSync(name, ['-version']).status !== 0);
  return missing.length > 0 ? `${missing.join(' and ')} not found` : undefined;
}

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
