import type { StoredRecord } from '../../indexer/store/records.ts';
import type { ScoreExplanation } from '../hydrate/token-explanation.ts';
import type { ConditionExplanation, Explanation, Notice } from '../response.ts';
import type { WordContribution } from '../retrieve/bm25.ts';
import type { KnownScripts } from '../text/known-scripts.ts';
import { UNKNOWN_DOCUMENT } from './notices.ts';

/** The rank whose score an explanation names for comparison: where the usual list of hits ends. */
export const USUAL_HITS = 10;

/** What a backend found out about one document. */
export interface ExplainedDocument {
  readonly record: StoredRecord;
  /** As users see it. */
  readonly score: number;
  readonly rank: number | undefined;
  readonly tenthScore: number | undefined;
  readonly explained: ScoreExplanation;
  /** The score by word, in mode `bm25`. */
  readonly words: readonly WordContribution[] | undefined;
  /** Of the query. */
  readonly conditions: readonly Pick<ConditionExplanation, 'kind' | 'text'>[];
  /** By condition: whether it holds. */
  readonly verdicts: readonly boolean[];
}

/** @param notices of the query */
export function explanationOf(
  { record, score, rank, tenthScore, explained, words, conditions, verdicts }: ExplainedDocument,
  notices: readonly Notice[],
  scripts: KnownScripts,
): Explanation {
  const { id, passage } = record;
  const isUnknown = scripts.isUnknown(`${record.title} ${record.text}`);
  const all = isUnknown ? [...notices, UNKNOWN_DOCUMENT] : notices;
  return {
    id,
    ...(passage === undefined ? {} : { passage }),
    score,
    ...(rank === undefined ? {} : { rank }),
    ...(tenthScore === undefined ? {} : { tenthScore }),
    tokens: explained.tokens,
    ...(explained.omittedTokens > 0 ? { omittedTokens: explained.omittedTokens } : {}),
    ...(words ? { words } : {}),
    ...(conditions.length > 0
      ? { conditions: conditions.map(({ kind, text }, i) => ({ kind, text, holds: verdicts[i]! })) }
      : {}),
    ...(all.length > 0 ? { notices: all } : {}),
  };
}
