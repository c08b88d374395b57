import pc from 'picocolors';
import type { FacetCount } from '../query/filter/fields.ts';
import type { Snippet } from '../query/hydrate/snippet.ts';
import type { TokenExplanation } from '../query/hydrate/token-explanation.ts';
import type { ConditionExplanation, Hit, Notice } from '../query/response.ts';
import type { WordContribution } from '../query/retrieve/bm25.ts';
import { printable, printableText } from './printable.ts';

/** A hit for the terminal: rank, score, title, id, marked snippet, and which words matched or were added. */
export function renderHit(hit: Hit, rank: number): string {
  const name = printable(hit.id);
  const title = printableText(hit.title) || name;
  const id = hit.passage === undefined ? name : `${name} passage ${hit.passage}`;
  const relevance = hit.relevance === undefined ? '' : pc.dim(` relevance ${hit.relevance.toFixed(2)}`);
  const lines = [
    `${pc.bold(`${rank}.`)} ${pc.cyan(hit.score.toFixed(2).padStart(6))}  ${pc.bold(title)} ${pc.dim(id)}${relevance}`,
  ];
  const snippet = renderSnippet(hit.snippet);
  if (snippet) lines.push(indent(snippet));
  if (hit.explanation) lines.push(indent(renderMatches(hit.explanation)));
  return lines.join('\n');
}

function renderSnippet({ parts, cutBefore, cutAfter }: Snippet): string {
  const text = parts
    .map(({ text, marked }) => {
      const shown = printableText(text);
      return marked ? pc.yellow(pc.bold(shown)) : shown;
    })
    .join('');
  return `${cutBefore ? '… ' : ''}${text.trim()}${cutAfter ? ' …' : ''}`;
}

/** Words below this share of the score are left out of the short form; `winnow explain` shows all. */
const SHOWN_SHARE = 0.03;

/** `matched: plant 4.2, light 3.1 · added by the model: photosynthesis 6.2`, strongest first. */
function renderMatches(tokens: readonly TokenExplanation[]): string {
  const total = tokens.reduce((sum, { contribution }) => sum + contribution, 0);
  // Tokens are joined to the query's words, unless the document has only a part of the word.
  const missing = new Set(tokens.filter(({ origin }) => origin === 'missing').map(({ word }) => word));
  const shown = new Map<string, { contribution: number; added: boolean }>();
  for (const { token, word, contribution, origin } of tokens) {
    if (origin === 'missing') continue;
    const label = missing.has(word) ? `${word} (only "${token.replace(/^##/, '')}")` : word;
    const known = shown.get(label);
    shown.set(label, {
      contribution: contribution + (known?.contribution ?? 0),
      added: origin === 'added' || known?.added === true,
    });
  }
  const strongest = [...shown]
    .filter(([, { contribution }]) => contribution >= total * SHOWN_SHARE)
    .sort(([, a], [, b]) => b.contribution - a.contribution);
  const group = (added: boolean, title: string): string => {
    const list = strongest.filter(([, one]) => one.added === added);
    return list.length === 0
      ? ''
      : `${title}: ${list.map(([label, one]) => `${printable(label)} ${one.contribution.toFixed(1)}`).join(', ')}`;
  };
  return pc.dim([group(false, 'matched'), group(true, 'added by the model')].filter(Boolean).join(' · '));
}

/** `lang: en 12, de 3`: what a field's values are among the best hits. */
export function renderFacet(field: string, counts: readonly FacetCount[]): string {
  const values = counts.map(({ value, count }) => `${printable(String(value))} ${pc.dim(String(count))}`);
  return `${pc.bold(printable(field))}: ${values.join(', ') || pc.dim('no values')}`;
}

export const renderNotices = (notices: readonly Notice[] = []): string[] =>
  notices.map(({ message }) => `${pc.yellow('note:')} ${printable(message)}`);

/** Which phrases and exclusions of a query hold for a document. */
export const renderConditions = (conditions: readonly ConditionExplanation[]): string[] =>
  conditions.map(({ kind, text, holds }) => {
    const has = (kind === 'phrase') === holds;
    const outcome = `the document ${has ? 'has' : 'lacks'} it${holds ? '' : ' and is left out'}`;
    return `${kind} "${printable(text)}": ${outcome}`;
  });

/** The account of a score by words. */
export const renderWords = (words: readonly WordContribution[]): string =>
  words
    .map(
      ({ word, frequency, contribution }) =>
        `${printable(word)}  ${frequency} in the document  ${contribution.toFixed(2)}`,
    )
    .join('\n');

/** The full account of a score as a table. */
export function renderExplanation(tokens: readonly TokenExplanation[], omittedTokens = 0): string {
  const width = tokens.reduce((widest, { token }) => Math.max(widest, printable(token).length), 5);
  const header = `${'token'.padEnd(width)}   query  weight  contribution`;
  const rows = tokens.map(({ token, queryWeight, weight, contribution, origin }) => {
    const where = { text: 'in the text', added: 'added by the model', missing: 'not in the document' }[
      origin
    ];
    const row = `${printable(token).padEnd(width)}  ${queryWeight.toFixed(2).padStart(6)}  ${weight.toFixed(2).padStart(6)}  ${contribution.toFixed(2).padStart(12)}  ${where}`;
    return origin === 'missing' ? pc.dim(row) : row;
  });
  if (omittedTokens > 0) rows.push(pc.dim(`and ${omittedTokens} more that are not in the document`));
  return [pc.bold(header), ...rows].join('\n');
}

const indent = (line: string): string => `           ${line}`;
