import { defined } from '../../defined.ts';
import { openModel } from '../../encoder/model.ts';
import { MAX_IMPACT } from '../../indexer/format/format.ts';
import { requireSameSettings } from '../../indexer/store/index-settings.ts';
import type { IndexSettings } from '../../indexer/types.ts';
import { requireFilterFields } from '../../query/check-arguments.ts';
import type { SharedEncoders } from '../../query/embedded/encoder-source.ts';
import { LEXICAL_ONLY, type OpenOptions } from '../../query/embedded/open-embedded.ts';
import { Cluster, type ClusterOptions } from './cluster.ts';
import { ClusterIndex } from './cluster-index.ts';
import type { ShardOptions } from './mapping.ts';
import { OpenSearchBackend } from './opensearch-backend.ts';

export interface OpenSearchOptions extends OpenOptions, ClusterOptions, ShardOptions {
  /**
   * Share of the heaviest query token, 0..1: lighter tokens do not find documents, they only score those that the heavier ones find.
   * Searches are faster, and documents may be missed. Default 0: all tokens find documents.
   */
  readonly twoPhase?: number;
}

/**
 * Opens an index of a cluster, by its name or by an alias of it. Any number of processes may have it open for searching and writing.
 *
 * @param name small letters, digits, dots, dashes and underscores
 * @param encoders shared with other indexes; default: the index has its own, made with `options`
 * @throws WinnowError WINNOW_MISSING_PACKAGE, WINNOW_CLUSTER, WINNOW_UNSUPPORTED for other servers, WINNOW_INDEX_NOT_FOUND (pass
 *   `create: true` to make one), WINNOW_INDEX_MISMATCH when the model is not the one that the index was built with, WINNOW_BAD_ARGUMENT
 */
export async function openOpenSearch(
  name: string,
  options: OpenSearchOptions,
  encoders?: SharedEncoders,
): Promise<OpenSearchBackend> {
  const { filterFields, create = false, twoPhase } = options;
  if (filterFields) requireFilterFields(filterFields);
  const cluster = await Cluster.connect(options);
  try {
    const { shards, replicas, approximate } = options;
    const made = create
      ? { settings: newSettings(options), shards: defined({ shards, replicas, approximate }) }
      : undefined;
    const index = await ClusterIndex.open(cluster, name, made);
    const { settings } = index;
    const model = openModel(options.model ?? settings.modelName);
    requireSameSettings(
      settings,
      {
        ...settings,
        modelName: model.name,
        modelHash: settings.modelHash === LEXICAL_ONLY ? LEXICAL_ONLY : model.hash,
        filterFields: filterFields ?? settings.filterFields,
      },
      index.path,
    );
    return new OpenSearchBackend(index, model, { ...options, ...defined({ twoPhase }) }, encoders);
  } catch (error) {
    await cluster.close();
    throw error;
  }
}

function newSettings({
  model: name,
  filterFields = [],
  lexicalOnly,
  vectors = true,
}: OpenOptions): IndexSettings {
  const model = openModel(name);
  const vectorSize = lexicalOnly || !vectors ? undefined : model.config.winnow.vector?.size;
  return {
    modelName: model.name,
    modelHash: lexicalOnly ? LEXICAL_ONLY : model.hash,
    // As the embedded backend stores it, so that both show the same weights.
    impactScale: Math.fround(model.config.winnow.maxWeight / MAX_IMPACT),
    filterFields,
    ...defined({ vectorSize }),
  };
}
