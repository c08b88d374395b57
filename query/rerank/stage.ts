import type { Deadline } from '../deadline.ts';
import type { STAGES } from '../request.ts';
import type { FoundDoc, FoundQuery } from '../retrieve/retriever.ts';

export type StageName = (typeof STAGES)[number];

/** How the scores of a stage are used; chosen on development sets and stored in the model folder. */
export interface RerankSettings {
  /** Share of the stage's score in the mixture, 0..1; the ranking before it has the rest. */
  readonly mix: number;
  /** {@link mix} where another stage came before; default the same. */
  readonly cascadeMix?: number | undefined;
  /** Number of documents that are reranked unless a request names another, 1..1,000. */
  readonly depth: number;
  /** Relevance of a score: 1 / (1 + exp(-(slope * score + offset))). */
  readonly relevance: { readonly slope: number; readonly offset: number };
  /** Share of the documents that go on after the stage's first layers, above 0, at most 1; absent: all. */
  readonly earlyExit?: { readonly keep: number } | undefined;
}

/** What a stage says of the first documents of a ranking, in their order. */
export interface StageResult {
  /** The higher, the better the document answers; undefined for one that it cannot judge. */
  readonly scores: readonly (number | undefined)[];
  /** Positions in `scores` of those that are estimates of the stage's first layers. */
  readonly estimated?: ReadonlySet<number>;
}

/** One way to reorder the best documents of a ranking. */
export interface RerankStage {
  readonly name: StageName;
  readonly settings: RerankSettings;
  /**
   * Scores documents: the higher, the better the document answers.
   *
   * @param docs in the order of the ranking so far
   * @param deadline after which it may stop; the first group of documents is scored in any case
   * @throws the signal's reason when it is aborted; WinnowError of the model or of stored fields
   */
  score(
    search: FoundQuery,
    docs: readonly FoundDoc[],
    limits: { readonly deadline: Deadline; readonly signal?: AbortSignal | undefined },
  ): Promise<StageResult>;
}

/** A stage that runs no model, so that every search can afford it. */
export interface InstantStage extends RerankStage {
  /** As {@link RerankStage.score}, at once and for all documents. */
  scoreNow(search: FoundQuery, docs: readonly FoundDoc[]): readonly (number | undefined)[];
}
