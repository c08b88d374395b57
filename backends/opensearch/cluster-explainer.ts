import { inverseDocumentFrequency } from '../../encoder/idf-query.ts';
import { WinnowError } from '../../errors.ts';
import { displayId, type PassageRef, storedId } from '../../indexer/format/stored-id.ts';
import type { StoredRecord } from '../../indexer/store/records.ts';
import { NO_DEADLINE } from '../../query/deadline.ts';
import type { Hydrator } from '../../query/hydrate/hydrator.ts';
import type { ExplainOptions } from '../../query/request.ts';
import type { Explanation } from '../../query/response.ts';
import type { WordContribution } from '../../query/retrieve/bm25.ts';
import { explanationOf, USUAL_HITS } from '../../query/search/explanation.ts';
import { NO_TERMS } from '../../query/search/prepared-search.ts';
import { analyze } from '../../query/text/english-analyzer.ts';
import type { KnownScripts } from '../../query/text/known-scripts.ts';
import { conditionsHold } from '../../query/text/text-conditions.ts';
import { type ClusterSource, HIT_FIELDS, impactsOf, recordOf } from './cluster-document.ts';
import type { ClusterIndex, ClusterResponse } from './cluster-index.ts';
import type { DocumentFetcher } from './fetched-docs.ts';
import { FIELDS } from './mapping.ts';
import type { PreparedQuery, QueryPreparer } from './prepared-query.ts';
import { wordClauses } from './queries.ts';
import type { ClusterRankings } from './rankings.ts';
import { hitsOf } from './stored-parts.ts';

/** A passage with what decides whether it is a hit. */
interface Candidate {
  readonly source: ClusterSource;
  readonly record: StoredRecord;
  readonly verdicts: readonly boolean[];
  /** As the cluster has it. */
  readonly score: number;
}

/** Explains the score of one document: tokens from its stored weights, words by asking the cluster about each alone. */
export class ClusterExplainer {
  private readonly index: ClusterIndex;
  private readonly preparer: QueryPreparer;
  private readonly rankings: ClusterRankings;
  private readonly fetcher: DocumentFetcher;
  private readonly hydrator: Hydrator;
  private readonly scripts: KnownScripts;

  constructor(
    index: ClusterIndex,
    parts: {
      readonly preparer: QueryPreparer;
      readonly rankings: ClusterRankings;
      readonly fetcher: DocumentFetcher;
      readonly hydrator: Hydrator;
      readonly scripts: KnownScripts;
    },
  ) {
    this.index = index;
    this.preparer = parts.preparer;
    this.rankings = parts.rankings;
    this.fetcher = parts.fetcher;
    this.hydrator = parts.hydrator;
    this.scripts = parts.scripts;
  }

  /** @throws WinnowError WINNOW_NOT_FOUND when the document is not in the index, WINNOW_BAD_ARGUMENT, WINNOW_CLUSTER */
  async explain(query: string, ref: PassageRef, options: ExplainOptions): Promise<Explanation> {
    const search = await this.preparer.prepare(query, options);
    const mode = search.mode === 'bm25' ? 'bm25' : 'sparse';
    const best = await this.bestPassage(search, ref, mode);
    const { source, record, verdicts, score } = best;
    const sid = storedId(record.id, record.passage);
    const words = mode === 'bm25' ? await this.words(search, sid) : undefined;
    const { segment } = this.fetcher.segment([{ id: sid, source }]);
    const quantized = words ? NO_TERMS : search.quantized;
    const explained = this.hydrator.explain({ ...search, quantized }, segment, 0, record);
    const isHit = score > 0 && verdicts.every(Boolean);
    const rank = isHit ? await this.rank(search, mode, score, sid) : undefined;
    return explanationOf(
      {
        record,
        score: this.rankings.toScore(score, mode, search),
        rank,
        tenthScore: await this.tenth({ ...search, mode }),
        explained,
        words,
        conditions: search.conditions,
        verdicts,
      },
      search.notices,
      this.scripts,
    );
  }

  /** The passage that is a hit most easily: it meets the conditions, and has the best score of those. */
  private async bestPassage(
    search: PreparedQuery,
    ref: PassageRef,
    mode: 'sparse' | 'bm25',
  ): Promise<Candidate> {
    const sources: ClusterSource[] = [];
    for await (const { _source } of hitsOf(this.index, [ref.id], HIT_FIELDS))
      if (_source && (ref.passage === undefined || _source[FIELDS.passage] === ref.passage))
        sources.push(_source);
    const scores = mode === 'bm25' ? await this.wordScores(search, ref.id) : undefined;
    const [first, ...others] = sources.map((source): Candidate => {
      const record = recordOf(source);
      const verdicts = conditionsHold(search.conditions, record);
      const score = scores
        ? (scores.get(storedId(record.id, record.passage)) ?? 0)
        : integerScore(source, search.quantized);
      return { source, record, verdicts, score };
    });
    if (!first) throw new WinnowError('WINNOW_NOT_FOUND', `no document "${displayId(ref)}"`, { place: 'id' });
    return others.reduce((best, one) => (isBetter(one, best) ? one : best), first);
  }

  /** BM25 scores of the passages of a source, by stored id. */
  private async wordScores(search: PreparedQuery, id: string): Promise<ReadonlyMap<string, number>> {
    const made = this.rankings.body({ ...search, restriction: NO_RESTRICTION }, 'bm25');
    if (!made) return new Map();
    const { hits } = await this.scored(made.query, { term: { [FIELDS.source]: id } }, 10_000);
    return new Map(
      hits.hits.map(({ _score, fields }) => [String(fields![FIELDS.storedId]![0]), _score ?? 0]),
    );
  }

  /** The BM25 score of one document by word, largest contribution first. */
  private async words(search: PreparedQuery, sid: string): Promise<WordContribution[]> {
    const words = analyze(search.text);
    const clauses = wordClauses(words);
    const distinct = [...new Set(words)];
    if (distinct.length === 0) return [];
    const only = { term: { [FIELDS.storedId]: sid } };
    const answers = await this.index.searches(
      [
        ...clauses.map(({ query }) => scoredBody(query, only, 1, [FIELDS.words])),
        ...distinct.map((word) => countBody({ term: { [FIELDS.words]: word } })),
        countBody({ exists: { field: FIELDS.words } }),
      ],
      { dfs: true },
    );
    const total = (i: number): number => answers[i]!.hits.total!.value;
    const numDocs = total(2 * distinct.length);
    return distinct
      .map((word, i): WordContribution => {
        const [hit] = answers[i]!.hits.hits;
        const text = (hit?._source?.[FIELDS.words] as string | undefined) ?? '';
        return {
          word,
          idf: inverseDocumentFrequency(numDocs, total(distinct.length + i)),
          frequency: text.split(' ').filter((one) => one === word).length,
          contribution: this.rankings.toScore(hit?._score ?? 0, 'bm25', search),
        };
      })
      .sort((a, b) => b.contribution - a.contribution || b.idf - a.idf);
  }

  /** 1 + the number of hits that rank before (score, id). */
  private async rank(
    search: PreparedQuery,
    mode: 'sparse' | 'bm25',
    score: number,
    sid: string,
  ): Promise<number | undefined> {
    const made = this.rankings.body(search, mode);
    // A rescored ranking has its order only among the best of each shard.
    if (!made || made.rescore) return undefined;
    const before = (range: object, least: number) => ({
      ...countBody({
        bool: { must: [made.query], filter: [{ range: { [FIELDS.storedId]: range } }] },
      }),
      min_score: least,
    });
    const [smaller, larger] = await this.index.searches(
      [before({ lt: sid }, score), before({ gt: sid }, nextFloat(score))],
      { dfs: mode === 'bm25' },
    );
    return 1 + smaller!.hits.total!.value + larger!.hits.total!.value;
  }

  private async tenth(search: PreparedQuery): Promise<number | undefined> {
    const { hits } = await this.rankings.rank(search, {
      depth: USUAL_HITS,
      withSource: false,
      fields: [],
      deadline: NO_DEADLINE,
    });
    return hits[USUAL_HITS - 1]?.score;
  }

  private async scored(query: object, only: object, size: number): Promise<ClusterResponse> {
    const [answer] = await this.index.searches([scoredBody(query, only, size, false)], { dfs: true });
    return answer!;
  }
}

const NO_RESTRICTION = { filter: [], mustNot: [], clauses: 0 };

const scoredBody = (
  query: object,
  only: object,
  size: number,
  fields: readonly string[] | false,
): object => ({
  query: { bool: { must: [query], filter: [only] } },
  size,
  track_total_hits: false,
  _source: fields,
  docvalue_fields: [FIELDS.storedId],
});

const countBody = (query: object): object => ({ query, size: 0, track_total_hits: true });

/** What the cluster computes: a sum of whole numbers, rounded to f32 once. */
function integerScore(source: ClusterSource, { termIds, weights }: PreparedQuery['quantized']): number {
  const impacts = impactsOf(source);
  const impactOf = new Map(Array.from(impacts.termIds, (termId, i) => [termId, impacts.impacts[i]!]));
  let sum = 0;
  termIds.forEach((termId, i) => {
    sum += weights[i]! * (impactOf.get(termId) ?? 0);
  });
  return Math.fround(sum);
}

/** The next larger f32. @param value above 0 */
function nextFloat(value: number): number {
  const bits = new DataView(new ArrayBuffer(4));
  bits.setFloat32(0, value);
  bits.setUint32(0, bits.getUint32(0) + 1);
  return bits.getFloat32(0);
}

function isBetter(a: Candidate, b: Candidate): boolean {
  const passes = ({ verdicts }: Candidate): boolean => verdicts.every(Boolean);
  return passes(a) === passes(b) ? a.score > b.score : passes(a);
}
