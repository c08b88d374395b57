import { WinnowError } from '../../errors.ts';
import type { IndexSettings } from '../../indexer/types.ts';
import type { Cluster } from './cluster.ts';
import { settingsOf } from './mapping.ts';

/** The settings of an index, or of the index that an alias stands for; undefined where there is none. @throws WinnowError WINNOW_INDEX_MISMATCH, WINNOW_INDEX_VERSION */
export async function readSettings(cluster: Cluster, name: string): Promise<IndexSettings | undefined> {
  const { status, body } = await cluster.request<Record<string, { mappings: unknown }>>({
    method: 'GET',
    path: `/${name}/_mapping`,
    accept: [404],
  });
  if (status === 404) return undefined;
  const place = `${cluster.name}/${name}`;
  const [first, ...others] = Object.values(body);
  if (others.length > 0)
    throw new WinnowError('WINNOW_INDEX_MISMATCH', `"${name}" is an alias of ${others.length + 1} indexes`, {
      place,
      hint: 'name one of them, or let the alias name only one',
    });
  return settingsOf(first!.mappings, place);
}
