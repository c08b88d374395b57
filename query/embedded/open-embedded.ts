import { defined } from '../../defined.ts';
import { type Model, openModel } from '../../encoder/model.ts';
import { WinnowError } from '../../errors.ts';
import { MAX_IMPACT } from '../../indexer/format/format.ts';
import { IndexStore } from '../../indexer/index-store.ts';
import { makeFolder, requireFolder } from '../../indexer/store/files.ts';
import { lockForWriting } from '../../indexer/store/writer-lock.ts';
import type { FilterField } from '../../indexer/types.ts';
import { requireFilterFields, requireOptions } from '../check-arguments.ts';
import { OPEN_OPTIONS } from '../open-options.ts';
import { EmbeddedBackend } from './embedded-backend.ts';
import type { SharedEncoders } from './encoder-source.ts';
import type { EncodingOptions } from './encoding-options.ts';

export interface OpenOptions extends EncodingOptions {
  /** Bundled model name or model folder; must be the one that the index was built with. Default: the index's own. */
  readonly model?: string;
  /** Metadata fields that filters may name; fixed when the index is created. Default none. */
  readonly filterFields?: readonly FilterField[];
  /** Create the index when the folder has none. Default false. */
  readonly create?: boolean;
  /** Search only. Default false. */
  readonly readOnly?: boolean;
  /** Index words only, for BM25: no model runs and sparse searches find nothing. Fixed at creation. Default false. */
  readonly lexicalOnly?: boolean;
  /**
   * Keep the document vectors of a model that makes them, for reranking: its `winnow.vector.size` bytes per document. An index that
   * has none gets them with `create`, for the documents that are added from then on, which sources of such documents are again.
   * Default true.
   */
  readonly vectors?: boolean;
}

/** Stands for the model's hash in an index of words alone. */
export const LEXICAL_ONLY = 'lexical-only';

/**
 * Opens an index folder for searching and writing. One process of a machine has it open for writing, as often as it likes; any
 * number of others read with `readOnly`.
 *
 * @param encoders shared with other indexes; default: the index has its own, made with `options`
 * @throws WinnowError WINNOW_INDEX_IN_USE naming the process that writes to the folder,
 *   WINNOW_INDEX_NOT_FOUND (pass `create: true` to start one), WINNOW_INDEX_MISMATCH when the model is
 *   not the one that the index was built with, WINNOW_INDEX_VERSION, WINNOW_INDEX_CORRUPT, WINNOW_BAD_ARGUMENT
 */
export function openEmbedded(
  folder: string,
  options: OpenOptions = {},
  encoders?: SharedEncoders,
): EmbeddedBackend {
  requireFolder(folder);
  requireOptions(options, OPEN_OPTIONS);
  const { filterFields, create = false, readOnly = false } = options;
  if (filterFields) requireFilterFields(filterFields);
  if (create && readOnly)
    throw new WinnowError('WINNOW_BAD_ARGUMENT', 'an index that is created is written to', {
      place: 'readOnly',
      hint: 'leave out create or readOnly',
    });
  // A wrong path must leave nothing behind.
  if (readOnly || (!create && !IndexStore.exists(folder)))
    return new EmbeddedBackend(...openStore(folder, options), options, encoders);
  if (create) makeFolder(folder);
  const unlock = lockForWriting(folder);
  try {
    const [store, model, isLexical] = openStore(folder, options);
    store.afterClose(unlock);
    return new EmbeddedBackend(store, model, isLexical, options, encoders);
  } catch (error) {
    unlock();
    throw error;
  }
}

/** The store, the model of its documents, and whether it holds words only. */
function openStore(folder: string, options: OpenOptions): [IndexStore, Model, boolean] {
  const { model: modelName, filterFields, create = false, readOnly = false, lexicalOnly = false } = options;
  const { vectors = true } = options;
  if (create && !IndexStore.exists(folder)) {
    const model = openModel(modelName);
    const impactScale = model.config.winnow.maxWeight / MAX_IMPACT;
    const vectorSize = lexicalOnly || !vectors ? undefined : model.config.winnow.vector?.size;
    const store = IndexStore.openOrCreate(folder, {
      modelName: model.name,
      modelHash: lexicalOnly ? LEXICAL_ONLY : model.hash,
      impactScale,
      filterFields: filterFields ?? [],
      ...defined({ vectorSize }),
    });
    return [store, model, lexicalOnly];
  }
  const store = IndexStore.open(folder, { readOnly });
  try {
    const { settings } = store;
    const model = openModel(modelName ?? settings.modelName);
    const isLexical = settings.modelHash === LEXICAL_ONLY;
    store.requireSettings({
      modelName: model.name,
      modelHash: isLexical ? LEXICAL_ONLY : model.hash,
      impactScale: settings.impactScale,
      filterFields: filterFields ?? settings.filterFields,
      ...defined({ vectorSize: settings.vectorSize }),
    });
    const size = model.config.winnow.vector?.size;
    if (create && vectors && !isLexical && size !== undefined && settings.vectorSize === undefined)
      store.keepVectors(size);
    return [store, model, isLexical];
  } catch (error) {
    void store.close();
    throw error;
  }
}
