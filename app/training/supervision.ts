import { appendFileSync, existsSync, readFileSync, truncateSync } from 'node:fs';
import { parseStoredId } from '../../indexer/format/stored-id.ts';
import { QUESTION_SHARES, SPAN_SHARES } from './ensemble.ts';
import type { Candidate, Labeller } from './labelling.ts';
import type { PlannedQuery } from './query-plan.ts';

/** A query with the passages that answer it more or less. */
export interface LabelledQuery extends PlannedQuery {
  /** Best first; of people's positives at least one passage each. */
  readonly candidates: readonly Candidate[];
}

/** Passages that each ranking brings per query: the reranker reads all of them, and an example has room for four. */
const LABEL_DEPTH = 16;

export interface LabelRun {
  /** A line of JSON per query that is labelled, in the order of the plan. A run that finds some goes on after them. */
  readonly file: string;
  /** No query is begun after it (`performance.now()`). */
  readonly deadline: number;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (done: number, total: number) => void;
}

export interface Labelled {
  /** Those with something to learn from: at least two candidates, of which one is better. */
  readonly queries: readonly LabelledQuery[];
  /** Queries of the plan that were looked at in time. */
  readonly done: number;
}

/**
 * Labels queries one after another and keeps each on disk.
 *
 * @throws the signal's reason when it is aborted; what was labelled before stays
 */
export async function labelQueries(
  plan: readonly PlannedQuery[],
  labeller: Labeller,
  { file, deadline, signal, onProgress }: LabelRun,
): Promise<Labelled> {
  const lists = readLabels(file).slice(0, plan.length);
  for (let i = lists.length; i < plan.length; i++) {
    signal?.throwIfAborted();
    if (performance.now() > deadline) break;
    const candidates = await label(plan[i]!, labeller, signal);
    appendFileSync(file, `${JSON.stringify(candidates.map(({ id, score }) => [id, score]))}\n`);
    lists.push(candidates);
    onProgress?.(i + 1, plan.length);
  }
  const queries = lists.map((candidates, i) => ({ ...plan[i]!, candidates }));
  return { queries: queries.filter(isUseful), done: lists.length };
}

const isUseful = ({ candidates, judged }: LabelledQuery): boolean =>
  judged
    ? candidates.length > 0 || judged.positiveTexts.length > 0
    : candidates.length > 1 && candidates[0]!.score > candidates[1]!.score;

function label(
  { query, hidden, judged }: PlannedQuery,
  labeller: Labeller,
  signal: AbortSignal | undefined,
): Promise<Candidate[]> {
  const shares = judged ? QUESTION_SHARES : SPAN_SHARES;
  const wanted = judged ? [...judged.positives, ...judged.negatives] : [];
  return labeller.label(query, { shares, depth: LABEL_DEPTH, hidden, wanted }, signal);
}

/** What an earlier run has labelled. A line that it could not finish is cut off. */
function readLabels(file: string): Candidate[][] {
  if (!existsSync(file)) return [];
  const text = readFileSync(file, 'utf8');
  const whole = text.slice(0, text.lastIndexOf('\n') + 1);
  if (whole.length < text.length) truncateSync(file, Buffer.byteLength(whole));
  return whole
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => (JSON.parse(line) as [string, number][]).map(([id, score]) => ({ id, score })));
}

/** Score above which a document counts as an answer, where nobody judged: half of what the best one could have. */
const ANSWERS = 0.5;
const GRADES = 10;

/**
 * Grades of the sources of a labelled query: 1 for people's positives, else 1..10 by the judges, for the ten best at most.
 *
 * @returns empty where the index has no positive
 */
export function gradesOf({ candidates, judged }: LabelledQuery): Map<string, number> {
  if (judged) return new Map(judged.positives.map((id) => [id, 1]));
  const grades = new Map<string, number>();
  for (const { id, score } of candidates) {
    const { id: source } = parseStoredId(id);
    const grade = Math.ceil((GRADES * (score - ANSWERS)) / (1 - ANSWERS));
    if (grade > 0 && grades.size < GRADES && !grades.has(source)) grades.set(source, grade);
  }
  return grades;
}
