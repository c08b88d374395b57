import type { StoredRecord, StoredSource } from '../../indexer/store/records.ts';
import type { Explanation, Hit, SearchResponse } from '../../query/response.ts';

/** Hits as a model reads them best: numbered, one block each, ids to get more by. */
export function hitsText({ hits, notices = [], complete }: SearchResponse): string {
  const notes = notices.map(({ message }) => `Note: ${message}`);
  if (!complete) notes.push('Note: the search ended early; better documents may exist.');
  const blocks = hits.map((hit, i) => `${i + 1}. ${hitText(hit)}`);
  return [...notes, ...(blocks.length > 0 ? blocks : ['No document answers this.'])].join('\n\n');
}

function hitText({ id, passage, title, score, relevance, snippet, addedWords }: Hit): string {
  const text = snippet.parts.map((part) => part.text).join('');
  const name = passage === undefined ? `id ${id}` : `id ${id}, passage ${passage}`;
  const measures =
    relevance === undefined ? `score ${score.toFixed(2)}` : `relevance ${relevance.toFixed(2)}`;
  return [
    `${title || id} (${name}; ${measures})`,
    `${snippet.cutBefore ? '… ' : ''}${text}${snippet.cutAfter ? ' …' : ''}`,
    ...(addedWords.length > 0 ? [`matched by meaning: ${addedWords.join(', ')}`] : []),
  ].join('\n');
}

export function documentText({ id, title, text, metadata }: StoredRecord | StoredSource): string {
  const fields = Object.keys(metadata).length > 0 ? [`metadata: ${JSON.stringify(metadata)}`] : [];
  return [`id: ${id}`, ...(title ? [`title: ${title}`] : []), ...fields, '', text].join('\n');
}

export function explanationText({ score, rank, tokens, omittedTokens = 0 }: Explanation): string {
  const lines = tokens.map(
    ({ token, queryWeight, weight, contribution, origin }) =>
      `${token}: ${contribution.toFixed(2)} = ${queryWeight.toFixed(2)} x ${weight.toFixed(2)} (${origin})`,
  );
  const rest = omittedTokens > 0 ? [`${omittedTokens} more words of the query are not in the document`] : [];
  return [`score ${score.toFixed(2)}${rank === undefined ? '' : `, rank ${rank}`}`, ...lines, ...rest].join(
    '\n',
  );
}
