import type { FoundDoc, FoundQuery } from '../retrieve/retriever.ts';
import type { RerankSettings, RerankStage } from './stage.ts';

/** A passage to score against a query. */
export interface RerankPassage {
  /** Identifies the text as long as the index is open, so that its tokens can be kept. */
  readonly key: string;
  readonly title: string;
  readonly text: string;
}

/** A small transformer that reads query and passage together. */
export interface Reranker {
  readonly modelName: string;
  readonly settings: RerankSettings;
  /**
   * @returns one logit per passage, in their order: the higher, the better the passage answers
   * @throws the signal's reason when it is aborted
   */
  score(
    query: string,
    passages: readonly RerankPassage[],
    options: { readonly signal?: AbortSignal },
  ): Promise<Float32Array>;
  /** Ends its threads. Never rejects. */
  close(): Promise<void>;
}

/** Passages scored between two checks of the deadline. Whole groups keep all threads busy. */
const GROUP = 16;

/** Scores documents by a cross-encoder, in groups and in the order of the ranking. */
export const crossStage = (reranker: Reranker): RerankStage => ({
  name: 'cross',
  settings: reranker.settings,
  async score(search, docs, { deadline, signal }) {
    const logits: number[] = [];
    for (let from = 0; from < docs.length; from += GROUP) {
      if (from > 0 && deadline.isPast) break;
      const group = docs.slice(from, from + GROUP).map((doc) => passageOf(search, doc));
      logits.push(...(await reranker.score(search.text, group, signal ? { signal } : {})));
    }
    return logits;
  },
});

function passageOf({ generation }: FoundQuery, { view, docId }: FoundDoc): RerankPassage {
  const docKey = view.segment.docKeys[docId]!;
  const { title = '', text = '' } = generation.document(docKey) ?? {};
  return { key: String(docKey), title, text };
}
