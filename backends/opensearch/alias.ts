import { WinnowError } from '../../errors.ts';
import type { IndexSettings } from '../../indexer/types.ts';
import { Cluster, type ClusterOptions } from './cluster.ts';
import { readSettings } from './index-settings.ts';

export interface AliasMove extends ClusterOptions {
  readonly alias: string;
  /** Index that the alias is to stand for. */
  readonly index: string;
  /** Delete the index that the alias stood for, in the same step. Default false. */
  readonly deletePrevious?: boolean;
  /** Allow an index of another model or with other fields: who has the alias open then has to open it again. Default false. */
  readonly otherSettings?: boolean;
}

export interface AliasMoved {
  readonly alias: string;
  readonly index: string;
  /** What it stood for before; absent for a new alias. */
  readonly previous?: string;
}

/**
 * Makes an alias stand for another index, in one step: each search sees either the old index or the new one, whole. Documents are
 * indexed again beside a running index and take its place without a pause.
 *
 * @throws WinnowError WINNOW_INDEX_NOT_FOUND, WINNOW_INDEX_MISMATCH for an index that Winnow did not make or with other settings,
 *   WINNOW_ALREADY_EXISTS where the alias is the name of an index, WINNOW_CLUSTER
 */
export async function moveAlias({
  alias,
  index,
  deletePrevious = false,
  otherSettings = false,
  ...options
}: AliasMove): Promise<AliasMoved> {
  const cluster = await Cluster.connect(options);
  try {
    const wanted = (await readSettings(cluster, index))?.settings;
    if (!wanted)
      throw new WinnowError('WINNOW_INDEX_NOT_FOUND', `the cluster has no index "${index}"`, {
        place: cluster.name,
        hint: `fill it first: winnow index <path> --engine opensearch --url URL --index ${index}`,
      });
    const previous = await indexOf(cluster, alias);
    if (previous === index) return { alias, index, previous };
    if (previous !== undefined && !otherSettings) await requireSame(cluster, previous, index, wanted);
    const actions = [
      ...(previous === undefined
        ? []
        : [deletePrevious ? { remove_index: { index: previous } } : { remove: { index: previous, alias } }]),
      { add: { index, alias } },
    ];
    await cluster.request({ method: 'POST', path: '/_aliases', body: { actions } });
    return { alias, index, ...(previous === undefined ? {} : { previous }) };
  } finally {
    await cluster.close();
  }
}

/** The index that an alias stands for; undefined where there is none. */
async function indexOf(cluster: Cluster, alias: string): Promise<string | undefined> {
  const { status, body } = await cluster.request<Record<string, unknown>>({
    method: 'GET',
    path: `/_alias/${alias}`,
    accept: [404],
  });
  if (status === 404) {
    const exists = await cluster.request({ method: 'HEAD', path: `/${alias}`, accept: [404] });
    if (exists.status === 404) return undefined;
    throw new WinnowError('WINNOW_ALREADY_EXISTS', `"${alias}" is the name of an index`, {
      place: cluster.name,
      hint: 'use an alias from the start: name indexes such as docs-1, and let docs be the alias',
    });
  }
  const names = Object.keys(body);
  if (names.length > 1)
    throw new WinnowError('WINNOW_INDEX_MISMATCH', `"${alias}" is an alias of ${names.length} indexes`, {
      place: cluster.name,
      hint: 'let it name only one',
    });
  return names[0];
}

async function requireSame(
  cluster: Cluster,
  previous: string,
  index: string,
  wanted: IndexSettings,
): Promise<void> {
  const stored = (await readSettings(cluster, previous))?.settings;
  if (!stored || JSON.stringify(stored) === JSON.stringify(wanted)) return;
  throw new WinnowError(
    'WINNOW_INDEX_MISMATCH',
    `"${index}" has another model or other fields than "${previous}"`,
    {
      place: cluster.name,
      hint: 'give --other-settings if that is wanted; programs that have the alias open must open it again',
    },
  );
}
