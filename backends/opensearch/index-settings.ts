import { WinnowError } from '../../errors.ts';
import type { IndexSettings } from '../../indexer/types.ts';
import type { Cluster } from './cluster.ts';
import { settingsOf } from './mapping.ts';

/** @throws WinnowError WINNOW_UNSUPPORTED for software that is no OpenSearch of version 2 or later */
export async function requireVersion(cluster: Cluster): Promise<number> {
  const { body } = await cluster.request<{ version?: { number?: string; distribution?: string } }>({
    method: 'GET',
    path: '/',
  });
  const { number = '', distribution } = body.version ?? {};
  const major = Number(number.split('.')[0]);
  if (distribution !== 'opensearch' || !(major >= 2))
    throw new WinnowError(
      'WINNOW_UNSUPPORTED',
      `the server is ${distribution ?? 'no OpenSearch'} ${number}`,
      {
        place: cluster.name,
        hint: 'use OpenSearch 2 or later',
      },
    );
  return major;
}

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
