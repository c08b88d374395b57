import type { IndexView } from '../../indexer/store/index-view.ts';
import { type Deadline, NO_DEADLINE } from '../deadline.ts';
import { FilterCache } from '../filter/filter-cache.ts';
import type { Filter, SearchMode, SearchOptions } from '../request.ts';
import type { Notice } from '../response.ts';
import type { DocumentFilter, RetrievalQuery } from '../retrieve/retriever.ts';
import type { SparseRetriever } from '../retrieve/sparse-retriever.ts';
import type { KnownScripts } from '../text/known-scripts.ts';
import { TextConditions } from '../text/text-conditions.ts';
import { type QuantizedQuery, quantizeQuery } from '../weights/quantized-query.ts';
import { noTerms, ONLY_EXCLUSIONS } from './notices.ts';
import { readableMode, readQuery } from './read-query.ts';

/** The query of a ranking by words alone. */
export const NO_TERMS: QuantizedQuery = quantizeQuery([], []);

/** A query over one view of the index: read, weighted, and with its filter compiled. */
export interface PreparedSearch extends RetrievalQuery {
  /** The mode that can search for the query's words. */
  readonly mode: SearchMode;
  /** Phrases and exclusions of the query; undefined when there are none. */
  readonly conditions: TextConditions | undefined;
  readonly notices: readonly Notice[];
}

/** Turns requests into {@link PreparedSearch}es. */
export class SearchPreparer {
  private readonly sparse: SparseRetriever;
  private readonly scripts: KnownScripts;
  private readonly defaultMode: SearchMode;
  private readonly filters = new FilterCache();

  /** @param defaultMode of requests that name none */
  constructor(sparse: SparseRetriever, scripts: KnownScripts, defaultMode: SearchMode) {
    this.sparse = sparse;
    this.scripts = scripts;
    this.defaultMode = defaultMode;
  }

  /**
   * Reads a query as people type it.
   *
   * @throws WinnowError WINNOW_BAD_ARGUMENT, WINNOW_FILTER_FIELD
   */
  prepare(generation: IndexView, query: string, options: SearchOptions, deadline: Deadline): PreparedSearch {
    const { text, conditions: parsed } = readQuery(query, options.syntax);
    const conditions = parsed.length > 0 ? new TextConditions(parsed, generation) : undefined;
    const { vector } = options;
    const quantized = vector
      ? this.sparse.quantizeVector(vector)
      : this.sparse.quantize(generation, text, options.idf);
    const wanted = options.mode ?? (vector ? 'sparse' : this.defaultMode);
    const { mode, notices } = vector
      ? { mode: wanted, notices: quantized.termIds.length > 0 ? [] : [noTerms(wanted)] }
      : readableMode(text, quantized, wanted, this.scripts);
    const filter = this.filters.documents(generation, options.filter, conditions, deadline);
    const onlyExcludes = conditions && text === '';
    return {
      generation,
      text,
      quantized,
      mode,
      filter,
      deadline,
      options,
      conditions,
      notices: onlyExcludes ? [ONLY_EXCLUSIONS] : notices,
    };
  }

  /**
   * The live documents that match a filter.
   *
   * @throws WinnowError WINNOW_BAD_ARGUMENT, WINNOW_FILTER_FIELD
   */
  matching(generation: IndexView, filter: Filter): DocumentFilter {
    return this.filters.documents(generation, filter, undefined, NO_DEADLINE);
  }

  /** Takes a query as plain text in the given mode, as test collections mean it: no operators, no fallback. */
  plain(
    generation: IndexView,
    text: string,
    mode: SearchMode,
    options: SearchOptions,
    deadline: Deadline,
  ): PreparedSearch {
    const quantized = mode === 'bm25' ? NO_TERMS : this.sparse.quantize(generation, text, options.idf);
    const filter = this.filters.documents(generation, options.filter, undefined, deadline);
    return {
      generation,
      text,
      quantized,
      mode,
      filter,
      deadline,
      options,
      conditions: undefined,
      notices: [],
    };
  }
}
