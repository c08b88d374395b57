import type { Query } from '../corpus/beir.ts';
import type { EvaluationDataset } from './dataset.ts';
import type { ScoredDocument } from './metrics.ts';

/** What a system says of itself; every figure may be missing, and missing figures are printed as such. */
export interface SystemFacts {
  /** Documents (passages) in the index. */
  readonly documents?: number;
  /** Mean number of terms with a weight per document, and per query. */
  readonly termsPerDocument?: number;
  readonly termsPerQuery?: number;
  /** Documents encoded per second while the index was built, wall clock; absent when encodings came from a cache. */
  readonly encodeDocsPerSecond?: number;
  readonly buildSeconds?: number;
  readonly indexBytes?: number;
  /** Resident memory of the process after the search passes, in bytes. */
  readonly memoryBytes?: number;
  /** Expected matched postings per query and document, see {@link flops}. */
  readonly flops?: number;
  readonly model?: string;
  readonly modelHash?: string;
  /** Settings worth a column or a line in a report: precision, mode, alpha, terms kept, ... */
  readonly settings?: Readonly<Record<string, string | number | boolean>>;
}

/**
 * A retrieval system as the runner sees it: opened over one data set, searched one query at a time. `search` should be
 * synchronous where it can, because awaiting costs microseconds that the latency figures would contain.
 */
export interface EvaluatedSystem {
  /** Unique in a report, e.g. `sparse-int8`. Also the tag of its TREC run. */
  readonly name: string;
  /**
   * The best k documents, best first. The runner drops a hit with the query's own id, and therefore passes k + 1.
   * A passage's score should be reported under its parent's id, the best passage first.
   */
  search(query: Query, k: number): readonly ScoredDocument[] | Promise<readonly ScoredDocument[]>;
  /** Why a document matched, in one line, for the report's list of worst queries. */
  explain?(query: Query, documentId: string): string | undefined | Promise<string | undefined>;
  /** Called after the search passes. */
  describe?(): SystemFacts | Promise<SystemFacts>;
  close?(): void | Promise<void>;
  /** False for imported runs, whose answers cost nothing here. Default true. */
  readonly timed?: boolean;
}

/** Opens a system over a data set: builds or reuses an index. `onProgress` is called during slow steps. */
export interface SystemFactory {
  readonly name: string;
  open(dataset: EvaluationDataset, onProgress?: (step: BuildProgress) => void): Promise<EvaluatedSystem>;
}

export interface BuildProgress {
  readonly step: string;
  readonly done: number;
  /** Absent where the total is not known. */
  readonly total?: number;
}

/** The terms of a query: each id once, with the number of documents that have it. */
export interface QueryTerms {
  readonly termIds: ArrayLike<number>;
  readonly documentFrequencies: ArrayLike<number>;
}

/**
 * FLOPS of the sparse retrieval papers (Paria et al. 2020; Geng et al., arXiv 2411.04403, figure 3): the expected number of
 * postings that a query touches per document = sum over terms of P(term in query) * P(term in document). Counts only,
 * no weights.
 *
 * @param documents number of documents in the collection
 */
export function flops(queries: readonly QueryTerms[], documents: number): number {
  let postings = 0;
  for (const { documentFrequencies } of queries)
    for (let i = 0; i < documentFrequencies.length; i++) postings += documentFrequencies[i]!;
  return queries.length === 0 || documents === 0 ? 0 : postings / documents / queries.length;
}
