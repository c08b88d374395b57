import { WinnowError } from '../../errors.ts';
import type { Cluster } from './cluster.ts';

/** Version of a cluster's software. */
export interface ServerVersion {
  readonly major: number;
  readonly minor: number;
  /** As the server says it. */
  readonly number: string;
}

/** Plugins that change what can be stored and asked. */
export type ServerPlugin = 'k-NN' | 'neural-search';

/** Names that distributions give them (opensearch-knn), and names of their classes, which servers of other make list. */
const PLUGINS: Readonly<Record<ServerPlugin, RegExp>> = {
  'k-NN': /\bopensearch-knn\b|\bKNNPlugin$/,
  'neural-search': /\bneural-search\b|\bNeuralSearch$/,
};

/** @throws WinnowError WINNOW_UNSUPPORTED for software that is no OpenSearch of version 2 or later */
export async function requireVersion(cluster: Cluster): Promise<ServerVersion> {
  const { body } = await cluster.request<{ version?: { number?: string; distribution?: string } }>({
    method: 'GET',
    path: '/',
  });
  const { number = '', distribution } = body.version ?? {};
  const [major, minor] = number.split('.').map(Number);
  if (distribution !== 'opensearch' || !(major! >= 2))
    throw new WinnowError(
      'WINNOW_UNSUPPORTED',
      `the server is ${distribution ?? 'no OpenSearch'} ${number}`,
      { place: cluster.name, hint: 'use OpenSearch 2 or later' },
    );
  return { major: major!, minor: minor ?? 0, number };
}

/** The plugins that every node of the cluster has: a shard may be on any of them. */
export async function pluginsOf(cluster: Cluster): Promise<ReadonlySet<ServerPlugin>> {
  const { body } = await cluster.request<{
    nodes: Record<string, { plugins?: readonly { name: string; classname?: string }[] }>;
  }>({
    method: 'GET',
    path: '/_nodes/plugins',
    query: { filter_path: 'nodes.*.plugins.name,nodes.*.plugins.classname' },
  });
  const nodes = Object.values(body.nodes ?? {});
  const names = Object.keys(PLUGINS) as ServerPlugin[];
  return new Set(
    names.filter(
      (name) =>
        nodes.length > 0 &&
        nodes.every(({ plugins = [] }) =>
          plugins.some((one) => PLUGINS[name].test(one.name) || PLUGINS[name].test(one.classname ?? '')),
        ),
    ),
  );
}

/** @param what needs the plugin @throws WinnowError WINNOW_UNSUPPORTED */
export async function requirePlugin(cluster: Cluster, plugin: ServerPlugin, what: string): Promise<void> {
  if ((await pluginsOf(cluster)).has(plugin)) return;
  throw new WinnowError('WINNOW_UNSUPPORTED', `${what} needs the plugin ${plugin} on every node`, {
    place: cluster.name,
    hint: 'install it there (opensearch-plugin install), or leave it out',
  });
}
