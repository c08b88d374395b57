import { stripVTControlCharacters } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { renderHit } from '../../cli/render.ts';
import type { TokenExplanation } from '../../query/hydrate/token-explanation.ts';

const test = suite('hits in the terminal');

const token = (
  token: string,
  word: string,
  contribution: number,
  origin: TokenExplanation['origin'],
): TokenExplanation => ({ token, word, contribution, origin, queryWeight: 1, weight: contribution });

function matchesOf(explanation: readonly TokenExplanation[]): string {
  const snippet = { parts: [], cutBefore: false, cutAfter: false };
  const hit = { id: 'a', title: 'A', score: 1, text: '', metadata: {}, snippet, explanation } as never;
  return stripVTControlCharacters(renderHit(hit, 1)).split('\n').at(-1)!.trim();
}

test('a word of several tokens is shown whole', () => {
  const tokens = [token('go', 'gout', 2, 'text'), token('##ut', 'gout', 1.5, 'text')];
  assert.is(
    matchesOf([...tokens, token('pain', 'pain', 1, 'added')]),
    'matched: gout 3.5 · added by the model: pain 1.0',
  );
});

test('of a word that the document has in part, the part is shown without the marks of the tokenizer', () => {
  const tokens = [token('##nor', 'minor', 2, 'text'), token('mi', 'minor', 0, 'missing')];
  assert.is(matchesOf(tokens), 'matched: minor (only "nor") 2.0');
});

test.run();
