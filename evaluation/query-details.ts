import { type EvaluationDataset, readTexts } from './dataset.ts';
import type { SystemResult } from './evaluate.ts';
import { type MetricName, rank, type ScoredDocument } from './metrics.ts';
import type { SystemFactory } from './system.ts';

/** One query with what each system made of it. */
export interface QueryDetail {
  readonly dataset: string;
  readonly id: string;
  readonly text: string;
  /** System -> value of the main measure. */
  readonly values: Readonly<Record<string, number>>;
  /** Why the report shows this query in full; absent for the others, as are the fields below. */
  readonly shownAs?: ShownAs;
  /** The first hits of each system. */
  readonly hits?: Readonly<Record<string, readonly HitDetail[]>>;
  /** Best judged documents that no shown hit covers, for queries shown in full. */
  readonly missed?: readonly { readonly id: string; readonly grade: number; readonly snippet: string }[];
}

/** Last system against the baseline lost or gained here, or every system scored low. */
export type ShownAs = 'loss' | 'gain' | 'unanswered';

export interface HitDetail {
  readonly id: string;
  readonly score: number;
  /** Null where the document is not judged. */
  readonly grade: number | null;
  readonly snippet: string;
  readonly explanation?: string;
}

const SNIPPET_CHARACTERS = 220;
const HITS_SHOWN = 3;

/** What each system made of each query; some queries are shown in full, with the first hits and what they missed. */
export async function queryDetails(
  dataset: EvaluationDataset,
  results: readonly SystemResult[],
  baseline: string,
  metric: MetricName,
  options: { readonly detailedQueries?: number; readonly factories?: readonly SystemFactory[] },
): Promise<QueryDetail[]> {
  const details = dataset.queries.map(({ id, text }): QueryDetail => {
    const values: [string, number][] = results.map(({ system, perQuery }) => [
      system,
      perQuery.get(metric)?.get(id) ?? 0,
    ]);
    return { dataset: dataset.name, id, text, values: Object.fromEntries(values) };
  });
  const shown = pickQueries(details, results, baseline, options.detailedQueries ?? 12);
  const tops = topHits(results, shown.keys());
  const snippets = await readSnippets(dataset, tops);
  const explanations = await explainHits(dataset, tops, details, options.factories ?? []);
  return details.map((detail): QueryDetail => {
    const top = tops.get(detail.id);
    const shownAs = shown.get(detail.id);
    if (!top || !shownAs) return detail;
    const judged = dataset.qrels.get(detail.id)!;
    const hits = [...top].map(([system, found]): [string, HitDetail[]] => [
      system,
      found.map(({ id, score }): HitDetail => {
        const explanation = explanations.get(explanationKey(system, detail.id, id));
        return {
          id,
          score,
          grade: judged.get(id) ?? null,
          snippet: snippets(id),
          ...(explanation === undefined ? {} : { explanation }),
        };
      }),
    ]);
    const covered = new Set([...top.values()].flatMap((found) => found.map(({ id }) => id)));
    const missed = bestJudged(dataset, detail.id)
      .filter(({ id }) => !covered.has(id))
      .map(({ id, grade }) => ({ id, grade, snippet: snippets(id) }));
    return { ...detail, shownAs, hits: Object.fromEntries(hits), missed };
  });
}

/** Query id -> system -> its first hits. */
type Tops = ReadonlyMap<string, ReadonlyMap<string, readonly ScoredDocument[]>>;

function topHits(results: readonly SystemResult[], queryIds: Iterable<string>): Tops {
  return new Map(
    [...queryIds].map((id) => [
      id,
      new Map(results.map(({ system, run }) => [system, rank(run.get(id) ?? []).slice(0, HITS_SHOWN)])),
    ]),
  );
}

/** Reads the corpus once for all documents that are shown. @returns the beginning of a document's text by its id */
async function readSnippets(dataset: EvaluationDataset, tops: Tops): Promise<(id: string) => string> {
  const wanted = new Set<string>();
  for (const [queryId, perSystem] of tops) {
    for (const hits of perSystem.values()) for (const { id } of hits) wanted.add(id);
    for (const { id } of bestJudged(dataset, queryId)) wanted.add(id);
  }
  const texts = await readTexts(dataset.corpusPath, wanted);
  return (id) => {
    const found = texts.get(id);
    if (!found) return '(not in the corpus)';
    const whole = [found.title.replace(/[.\s]+$/, ''), found.text]
      .filter((part) => part !== '')
      .join('. ')
      .replace(/\s+/g, ' ');
    return whole.length <= SNIPPET_CHARACTERS
      ? whole
      : `${whole.slice(0, SNIPPET_CHARACTERS).replace(/\s\S*$/, '')} ...`;
  };
}

function explanationKey(system: string, queryId: string, documentId: string): string {
  return JSON.stringify([system, queryId, documentId]);
}

/** The systems' explanations of their first hits. */
async function explainHits(
  dataset: EvaluationDataset,
  tops: Tops,
  queries: readonly QueryDetail[],
  factories: readonly SystemFactory[],
): Promise<Map<string, string>> {
  const texts = new Map(queries.map(({ id, text }) => [id, text]));
  const explanations = new Map<string, string>();
  if (tops.size === 0) return explanations;
  for (const factory of factories) {
    const system = await factory.open(dataset);
    try {
      if (!system.explain) continue;
      for (const [queryId, perSystem] of tops)
        for (const { id } of perSystem.get(system.name) ?? []) {
          const said = await system.explain({ id: queryId, text: texts.get(queryId) ?? '' }, id);
          if (said !== undefined) explanations.set(explanationKey(system.name, queryId, id), said);
        }
    } finally {
      await system.close?.();
    }
  }
  return explanations;
}

/** The two best judged documents of a query. */
function bestJudged(dataset: EvaluationDataset, queryId: string): { id: string; grade: number }[] {
  return [...(dataset.qrels.get(queryId) ?? [])]
    .map(([id, grade]) => ({ id, grade }))
    .filter(({ grade }) => grade > 0)
    .sort((a, b) => b.grade - a.grade || (a.id < b.id ? -1 : 1))
    .slice(0, 2);
}

/**
 * A third each: the largest losses and gains of the last system against the baseline, and queries that every system answers
 * badly; with one system only the latter.
 */
function pickQueries(
  details: readonly QueryDetail[],
  results: readonly SystemResult[],
  baseline: string,
  count: number,
): Map<string, ShownAs> {
  const other = results.map(({ system }) => system).findLast((system) => system !== baseline);
  const part = Math.ceil(count / (other === undefined ? 1 : 3));
  const picked = new Map<string, ShownAs>();
  const take = (reason: ShownAs, candidates: readonly QueryDetail[]) => {
    for (const { id } of candidates.filter((candidate) => !picked.has(candidate.id)).slice(0, part))
      if (picked.size < count) picked.set(id, reason);
  };
  if (other !== undefined) {
    const delta = ({ values }: QueryDetail) => (values[other] ?? 0) - (values[baseline] ?? 0);
    const byDelta = [...details].sort((a, b) => delta(a) - delta(b));
    take(
      'loss',
      byDelta.filter((detail) => delta(detail) < 0),
    );
    take('gain', byDelta.filter((detail) => delta(detail) > 0).reverse());
  }
  const best = ({ values }: QueryDetail) => Math.max(0, ...Object.values(values));
  take(
    'unanswered',
    [...details].sort((a, b) => best(a) - best(b)),
  );
  return picked;
}
