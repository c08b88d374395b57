import type { TokenStatistics } from '../../query/weights/query-weights.ts';
import { type ClusterIndex, missingShards } from './cluster-index.ts';
import { FIELDS, termName } from './mapping.ts';

/** How long counts are used before they are read again, unless this process writes. */
const KEPT_MS = 60_000;

/** Counts of one moment. Tokens that are wanted later are counted later, and used with the same number of documents. */
interface Counts {
  readonly at: number;
  readonly numDocs: number;
  readonly hasText: boolean;
  readonly byTerm: Map<number, number>;
}

/**
 * How often tokens occur in the index, counted by the cluster: one filter per token, which Lucene answers from the length of the posting
 * list. An index of counts kept by Winnow would save that, but every process that loads documents would have to write to it, and a
 * crash between both writes would make it wrong for good.
 */
export class ClusterStatistics {
  private readonly index: ClusterIndex;
  private counts: Counts | undefined;

  constructor(index: ClusterIndex) {
    this.index = index;
  }

  /** Forgets all counts, because the index has changed. */
  invalidate(): void {
    this.counts = undefined;
  }

  /** @returns undefined where no document came with its text */
  async of(termIds: Iterable<number>, signal?: AbortSignal): Promise<TokenStatistics | undefined> {
    const known = this.counts && performance.now() - this.counts.at < KEPT_MS ? this.counts : undefined;
    const missing = [...new Set(termIds)].filter((termId) => !known?.byTerm.has(termId));
    const counts = known && missing.length === 0 ? known : await this.count(known, missing, signal);
    if (!counts.hasText) return undefined;
    return { numDocs: counts.numDocs, textFrequency: (termId) => counts.byTerm.get(termId) ?? 0 };
  }

  private async count(
    known: Counts | undefined,
    termIds: readonly number[],
    signal: AbortSignal | undefined,
  ): Promise<Counts> {
    const filters = Object.fromEntries(
      termIds.map((termId) => [termName(termId), { term: { [FIELDS.inText]: termName(termId) } }]),
    );
    const answer = await this.index.search(
      {
        size: 0,
        track_total_hits: true,
        aggs: {
          text: { filter: { exists: { field: FIELDS.inText } } },
          ...(termIds.length > 0 ? { terms: { filters: { filters } } } : {}),
        },
      },
      // Where shards are lost, the others are weighted by their own counts; the ranking says that it is not complete.
      { signal, partial: true },
    );
    const { text, terms } = answer.aggregations as {
      text: { doc_count: number };
      terms?: { buckets: Record<string, { doc_count: number }> };
    };
    const counts: Counts = known ?? {
      at: performance.now(),
      numDocs: answer.hits.total!.value,
      hasText: text.doc_count > 0,
      byTerm: new Map(),
    };
    const isWhole = missingShards(answer._shards) === 0 && !answer.timed_out;
    // Counts of some shards only must not stay beside those of all.
    const used = isWhole ? counts : { ...counts, byTerm: new Map(counts.byTerm) };
    for (const termId of termIds) used.byTerm.set(termId, terms?.buckets[termName(termId)]?.doc_count ?? 0);
    // A write may have come in between; then the next search counts again.
    if (!known && !this.counts && isWhole) this.counts = counts;
    return used;
  }
}
