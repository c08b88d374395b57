import type { WordPieceTokenizer } from '../../encoder/transformer/tokenizer/wordpiece.ts';
import { badArgument, shown } from '../check-value.ts';
import { MAX_VECTOR_TOKENS } from '../limits.ts';
import { type QuantizedQuery, quantizeQuery } from './quantized-query.ts';

const TOKEN_HINT = 'tokens are WordPieces in lower case, such as "sky" and "##s"';

/**
 * A query given as weights by token.
 *
 * @throws WinnowError WINNOW_BAD_ARGUMENT for a token that the vocabulary lacks, a weight that is no number >= 0, or too many tokens
 */
export function quantizeTokens(
  vector: Readonly<Record<string, number>>,
  tokenizer: Pick<WordPieceTokenizer, 'idOf'>,
): QuantizedQuery {
  const tokens = Object.keys(vector);
  if (tokens.length > MAX_VECTOR_TOKENS)
    throw badArgument('vector', `has ${tokens.length} tokens, at most ${MAX_VECTOR_TOKENS} are allowed`);
  const termIds = tokens.map((token) => {
    const termId = tokenizer.idOf(token);
    const weight = vector[token];
    if (termId === undefined)
      throw badArgument(`vector.${token.slice(0, 60)}`, 'is no token of the vocabulary', TOKEN_HINT);
    if (typeof weight !== 'number' || !(weight >= 0) || weight === Number.POSITIVE_INFINITY)
      throw badArgument(`vector.${token}`, `must be a number of at least 0, not ${shown(weight)}`);
    return termId;
  });
  return quantizeQuery(termIds, Object.values(vector));
}
