import type { Deadline } from '../deadline.ts';
import type { FoundDoc, FoundQuery } from '../retrieve/retriever.ts';
import { logistic, mixture } from './mixture.ts';
import type { InstantStage, RerankStage, StageResult } from './stage.ts';

export interface Reranked<Doc extends FoundDoc> {
  /** The same documents in another order. */
  readonly docs: readonly Doc[];
  /** How many of them the last stage scored; the others follow in the order that they had, with a score of 0. */
  readonly reranked: number;
}

/**
 * Reorders the first documents of a ranking, stage by stage. A stage's scores and those of the ranking before it are normalised to mean
 * 0 and deviation 1 over the documents that it scored, and mixed; the last mixture is mapped to 0..1 by the logistic function.
 *
 * @param stages one or more; each takes the best of what the one before it reordered
 * @param depth of the last stage; default: what its model recommends
 * @param deadline after which documents that were not scored yet keep their order, behind those that were
 * @throws the signal's reason when it is aborted; WinnowError of a stage
 */
export async function rerank<Doc extends FoundDoc>(
  search: FoundQuery,
  docs: readonly Doc[],
  stages: readonly RerankStage[],
  options: {
    readonly depth: number | undefined;
    readonly deadline: Deadline;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<Reranked<Doc>> {
  const { deadline, signal } = options;
  const depths = stageDepths(stages, options.depth);
  let ranking = docs;
  let scored = docs.length;
  let reranked = 0;
  for (const [i, stage] of stages.entries()) {
    if (i > 0 && deadline.isPast) return { docs: finished(ranking, scored), reranked: 0 };
    const candidates = ranking.slice(0, Math.min(scored, depths[i]!));
    const result = await stage.score(search, candidates, { deadline, signal });
    ranking = reordered(ranking, result, stage, i > 0);
    reranked = scored = result.scores.length;
  }
  return { docs: finished(ranking, scored), reranked };
}

/** As {@link rerank}, with one stage that needs no waiting. */
export function rerankNow<Doc extends FoundDoc>(
  search: FoundQuery,
  docs: readonly Doc[],
  stage: InstantStage,
): readonly Doc[] {
  const scores = stage.scoreNow(search, docs.slice(0, stage.settings.depth));
  return finished(reordered(docs, { scores }, stage, false), scores.length);
}

/** How many documents each stage scores: none fewer than the ones after it. */
export function stageDepths(stages: readonly RerankStage[], depth: number | undefined): number[] {
  const depths = stages.map(({ settings }) => settings.depth);
  if (depth !== undefined) depths[depths.length - 1] = depth;
  for (let i = depths.length - 2; i >= 0; i--) depths[i] = Math.max(depths[i]!, depths[i + 1]!);
  return depths;
}

/** The documents that were scored in descending order of the mixture, ties by smaller id; then the others as they were. */
function reordered<Doc extends FoundDoc>(
  docs: readonly Doc[],
  { scores, estimated }: StageResult,
  { name, settings }: RerankStage,
  isLater: boolean,
): Doc[] {
  const { relevance, cascadeMix = settings.mix } = settings;
  const mix = isLater ? cascadeMix : settings.mix;
  const first = docs.slice(0, scores.length);
  const together = mixture(
    first.map(({ score }) => score),
    scores,
    mix,
  );
  const mixed = first.map((doc, i): Doc => {
    const score = together[i]!;
    const value = scores[i];
    const stages = doc.stages ?? { retrieval: doc.score };
    if (value === undefined) return { ...doc, score, stages };
    const answers = logistic(relevance.slope * value + relevance.offset);
    const by = estimated?.has(i) ? 'early' : name;
    return { ...doc, score, relevance: answers, stages: { ...stages, [by]: value } };
  });
  mixed.sort((a, b) => b.score - a.score || (a.id < b.id ? -1 : 1));
  return [...mixed, ...docs.slice(scores.length)];
}

/** @param scored how many documents have a mixture as their score; the others get 0 */
const finished = <Doc extends FoundDoc>(docs: readonly Doc[], scored: number): Doc[] =>
  docs.map((doc, i) => ({ ...doc, score: i < scored ? logistic(doc.score) : 0 }));
