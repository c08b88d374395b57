import { WinnowError } from '../../errors.ts';
import type { IndexSettings } from '../../indexer/types.ts';
import type { Cluster } from './cluster.ts';
import { PLAIN_FORMS, type ShardOptions, type StoredForms, settingsOf } from './mapping.ts';
import { pluginsOf, requirePlugin, type ServerVersion } from './server-features.ts';

/** What an index says of itself. */
export interface FoundIndex {
  /** Its name, where it was asked for by an alias. */
  readonly index: string;
  readonly settings: IndexSettings;
  readonly forms: StoredForms;
}

/** The settings of an index, or of the index that an alias stands for; undefined where there is none. @throws WinnowError WINNOW_INDEX_MISMATCH, WINNOW_INDEX_VERSION */
export async function readSettings(cluster: Cluster, name: string): Promise<FoundIndex | undefined> {
  const { status, body } = await cluster.request<Record<string, { mappings: unknown }>>({
    method: 'GET',
    path: `/${name}/_mapping`,
    accept: [404],
  });
  if (status === 404) return undefined;
  const place = `${cluster.name}/${name}`;
  const [first, ...others] = Object.entries(body);
  if (others.length > 0)
    throw new WinnowError('WINNOW_INDEX_MISMATCH', `"${name}" is an alias of ${others.length + 1} indexes`, {
      place,
      hint: 'name one of them, or let the alias name only one',
    });
  const [index, { mappings }] = first!;
  return { index, ...settingsOf(mappings, place) };
}

/**
 * How a new index stores what servers store differently.
 *
 * @throws WinnowError WINNOW_UNSUPPORTED where `approximate` is wanted of a server that cannot do that
 */
export async function newForms(
  cluster: Cluster,
  { major, minor, number }: ServerVersion,
  settings: IndexSettings,
  { approximate = false }: Pick<ShardOptions, 'approximate'>,
): Promise<StoredForms> {
  if (approximate) {
    if (major < 3 || (major === 3 && minor < 3))
      throw new WinnowError('WINNOW_UNSUPPORTED', `OpenSearch ${number} has no field of type sparse_vector`, {
        place: cluster.name,
        hint: 'use OpenSearch 3.3 or later, or leave out approximate: rank_features finds the same documents exactly',
      });
    await requirePlugin(cluster, 'neural-search', 'a field of type sparse_vector');
  }
  const isKnn = settings.vectorSize !== undefined && (await hasKnn(cluster));
  return { ...PLAIN_FORMS, approximate, vector: isKnn ? 'knn_vector' : 'binary' };
}

async function hasKnn(cluster: Cluster): Promise<boolean> {
  try {
    return (await pluginsOf(cluster)).has('k-NN');
  } catch (error) {
    // Whoever may not ask for plugins gets what every server has.
    if (error instanceof WinnowError && error.code === 'WINNOW_CLUSTER') return false;
    throw error;
  }
}
