import type { IdfQueryEncoder } from '../../encoder/idf-query.ts';
import { badArgument } from '../../query/check-value.ts';
import { parseFilter } from '../../query/filter/parse-filter.ts';
import { SEARCH_OPTIONS, type SearchMode, type SearchOptions } from '../../query/request.ts';
import type { Notice } from '../../query/response.ts';
import { noTerms, ONLY_EXCLUSIONS } from '../../query/search/notices.ts';
import { readableMode, readQuery } from '../../query/search/read-query.ts';
import type { KnownScripts } from '../../query/text/known-scripts.ts';
import type { TextCondition } from '../../query/text/operators.ts';
import { type QuantizedQuery, quantizeQuery } from '../../query/weights/quantized-query.ts';
import { quantizeTokens } from '../../query/weights/query-vector.ts';
import { queryWeights } from '../../query/weights/query-weights.ts';
import type { ClusterIndex } from './cluster-index.ts';
import { MAX_CLAUSES } from './mapping.ts';
import { type Restriction, restriction } from './queries.ts';
import type { ClusterStatistics } from './statistics.ts';

/** A request, read and weighted. */
export interface PreparedQuery {
  /** What words are taken from. */
  readonly text: string;
  readonly quantized: QuantizedQuery;
  readonly mode: SearchMode;
  readonly conditions: readonly TextCondition[];
  readonly restriction: Restriction;
  readonly notices: readonly Notice[];
}

/** Clauses that a filter leaves for the query. */
const LEAST_ROOM = 64;

/** Turns requests into {@link PreparedQuery}s. */
export class QueryPreparer {
  private readonly index: ClusterIndex;
  private readonly encoder: IdfQueryEncoder;
  private readonly scripts: KnownScripts;
  private readonly statistics: ClusterStatistics;
  private readonly defaultMode: SearchMode;

  /** @param defaultMode of requests that name none */
  constructor(
    index: ClusterIndex,
    encoder: IdfQueryEncoder,
    scripts: KnownScripts,
    statistics: ClusterStatistics,
    defaultMode: SearchMode,
  ) {
    this.index = index;
    this.encoder = encoder;
    this.scripts = scripts;
    this.statistics = statistics;
    this.defaultMode = defaultMode;
  }

  /** @throws WinnowError WINNOW_BAD_ARGUMENT, WINNOW_FILTER_FIELD, WINNOW_CLUSTER */
  async prepare(query: string, options: SearchOptions, signal?: AbortSignal): Promise<PreparedQuery> {
    const { text, conditions } = readQuery(query, options.syntax);
    const { vector } = options;
    const restricted = this.restriction(options.filter, conditions);
    const quantized = vector
      ? quantizeTokens(vector, this.encoder.tokenizer)
      : await this.quantize(text, options.idf, signal);
    const wanted = options.mode ?? (vector ? 'sparse' : this.defaultMode);
    const { mode, notices } = vector
      ? { mode: wanted, notices: quantized.termIds.length > 0 ? [] : [noTerms(wanted)] }
      : readableMode(text, quantized, wanted, this.scripts);
    const onlyExcludes = conditions.length > 0 && text === '';
    return {
      text,
      quantized,
      mode,
      conditions,
      restriction: restricted,
      notices: onlyExcludes ? [ONLY_EXCLUSIONS] : notices,
    };
  }

  /** Takes a query as plain text in the given mode, as test collections mean it: no operators, no fallback. */
  async plain(text: string, mode: SearchMode, options: SearchOptions): Promise<PreparedQuery> {
    const quantized = mode === 'bm25' ? quantizeQuery([], []) : await this.quantize(text, options.idf);
    return {
      text,
      quantized,
      mode,
      conditions: [],
      restriction: this.restriction(options.filter, []),
      notices: [],
    };
  }

  private restriction(filter: SearchOptions['filter'], conditions: readonly TextCondition[]): Restriction {
    const parsed = filter && parseFilter(filter, this.index.settings.filterFields);
    const made = restriction(parsed, conditions);
    if (made.clauses > MAX_CLAUSES - LEAST_ROOM)
      throw badArgument(
        filter ? 'filter' : 'query',
        `has ${made.clauses} conditions; a cluster takes ${MAX_CLAUSES - LEAST_ROOM}`,
        'write many values of one field as one list: {"field": {"in": [...]}}',
      );
    return made;
  }

  private async quantize(
    text: string,
    idf: SearchOptions['idf'],
    signal?: AbortSignal,
  ): Promise<QuantizedQuery> {
    const source = idf ?? SEARCH_OPTIONS.idf.default;
    const { termIds: tokens } = this.encoder.tokens(text);
    const statistics =
      source === 'table' || tokens.length === 0 ? undefined : await this.statistics.of(tokens, signal);
    const { termIds, weights } = queryWeights(this.encoder, statistics, text, source);
    return quantizeQuery(termIds, weights);
  }
}
