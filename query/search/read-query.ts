import { WinnowError } from '../../errors.ts';
import { MAX_TEXT_CONDITIONS } from '../limits.ts';
import { SEARCH_OPTIONS, type SearchMode, type SearchOptions } from '../request.ts';
import type { Notice } from '../response.ts';
import { analyze } from '../text/english-analyzer.ts';
import type { KnownScripts } from '../text/known-scripts.ts';
import { type ParsedQuery, parseQuery } from '../text/operators.ts';
import type { QuantizedQuery } from '../weights/quantized-query.ts';
import { noTerms, unknownScript, unknownWords } from './notices.ts';

/** Reads a query as people type it. @throws WinnowError WINNOW_BAD_ARGUMENT for too many phrases and exclusions */
export function readQuery(query: string, syntax: SearchOptions['syntax']): ParsedQuery {
  const parsed = parseQuery(query, syntax ?? SEARCH_OPTIONS.syntax.default);
  const { length } = parsed.conditions;
  if (length > MAX_TEXT_CONDITIONS)
    throw new WinnowError(
      'WINNOW_BAD_ARGUMENT',
      `the query has ${length} phrases and exclusions, at most ${MAX_TEXT_CONDITIONS} are allowed`,
      { place: 'query', hint: 'search for it as plain text: syntax "plain", --plain' },
    );
  return parsed;
}

/** The mode that can search for a query's words: `bm25` where the model knows none of them. */
export function readableMode(
  text: string,
  quantized: QuantizedQuery,
  mode: SearchMode,
  scripts: KnownScripts,
): { readonly mode: SearchMode; readonly notices: readonly Notice[] } {
  const { unknown, known } = scripts.read(text);
  if (mode !== 'bm25' && unknown.length > 0 && known === 0)
    return { mode: 'bm25', notices: [unknownScript(mode)] };
  if (mode === 'sparse' && unknown.length > 0) return { mode, notices: [unknownWords(unknown)] };
  const hasTerms =
    (mode !== 'bm25' && quantized.termIds.length > 0) || (mode !== 'sparse' && analyze(text).length > 0);
  return { mode, notices: hasTerms ? [] : [noTerms(mode)] };
}
