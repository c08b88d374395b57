import type { EmbeddedBackend } from '../../query/embedded/embedded-backend.ts';
import type { ExplainOptions, SearchMode } from '../../query/request.ts';

/** How many contributions a line of explanation names. */
const NAMED = 8;

/** Why a document matched, e.g. `car 4.1, engine 2.0, automobile +3.2`; for a hybrid, what each of its rankings saw. */
export function explanationLine(
  index: EmbeddedBackend,
  mode: SearchMode,
  query: string,
  id: string,
  options: Pick<ExplainOptions, 'idf'>,
): string {
  switch (mode) {
    case 'sparse':
      return sparseLine(index, query, id, options);
    case 'bm25':
      return wordLine(index, query, id);
    case 'hybrid':
      return `sparse: ${sparseLine(index, query, id, options)}; bm25: ${wordLine(index, query, id)}`;
  }
}

/**
 * Contributions by word of the query, with a plus where the model added what matched: `asymptomatic (##ym ##oma) 12.1`
 * when the document has these pieces of the word.
 */
function sparseLine(
  index: EmbeddedBackend,
  query: string,
  id: string,
  options: Pick<ExplainOptions, 'idf'>,
): string {
  const words = new Map<string, { pieces: string[]; contribution: number; added: boolean }>();
  const { tokens } = index.explain({ ...options, query, document: id, syntax: 'plain' });
  for (const { token, word, contribution, origin } of tokens) {
    if (contribution <= 0) continue;
    const name = word.toLowerCase();
    const found = words.get(name) ?? { pieces: [], contribution: 0, added: true };
    found.pieces.push(token);
    found.contribution += contribution;
    found.added &&= origin === 'added';
    words.set(name, found);
  }
  const named = [...words]
    .sort(([, a], [, b]) => b.contribution - a.contribution)
    .slice(0, NAMED)
    .map(([word, { pieces, contribution, added }]) => {
      const matched = pieces.length === 1 && pieces[0] === word ? '' : ` (${pieces.join(' ')})`;
      return `${word}${matched} ${added ? '+' : ''}${contribution.toFixed(1)}`;
    });
  return named.join(', ') || 'nothing';
}

/** Contributions by analysed word, with the number of its occurrences where there are several. */
function wordLine(index: EmbeddedBackend, query: string, id: string): string {
  const named = index
    .explainWords(query, id)
    .filter(({ contribution }) => contribution > 0)
    .slice(0, NAMED)
    .map(
      ({ word, frequency, contribution }) =>
        `${word}${frequency > 1 ? ` x${frequency}` : ''} ${contribution.toFixed(1)}`,
    );
  return named.join(', ') || 'nothing';
}
