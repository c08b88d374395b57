import type { WordPieces, WordPieceTokenizer } from '../../encoder/transformer/tokenizer/wordpiece.ts';
import { WinnowError } from '../../errors.ts';
import { displayId, parseStoredId } from '../../indexer/format/stored-id.ts';
import type { StoredRecord } from '../../indexer/store/records.ts';
import type { Deadline } from '../deadline.ts';
import type { SearchOptions } from '../request.ts';
import type { Hit } from '../response.ts';
import type { FoundDoc, FoundQuery, FoundSegment } from '../retrieve/retriever.ts';
import type { QuantizedQuery } from '../weights/quantized-query.ts';
import { type Highlight, makeSnippet, type Snippet } from './snippet.ts';
import { type ScoreExplanation, TokenExplainer, wordsByToken } from './token-explanation.ts';
import { TokenFinder } from './token-finder.ts';

/** Characters of a text that become snippet and explanation per microsecond on a slow machine. */
const CHARACTERS_PER_US = 2;
/** Terms of a document that its topic is taken from. */
const TOPICS = 8;

/** The words of a hit: what is marked in its text, and which words of the query the model added to it. */
interface HitWords {
  readonly snippet: Snippet;
  readonly addedWords: readonly string[];
}

const noSnippet = (text: string): Snippet => ({ parts: [], cutBefore: false, cutAfter: text.length > 0 });

type HitOptions = Pick<SearchOptions, 'explain' | 'highlight' | 'fields'>;

/** Turns ranked documents into hits: reads their stored fields, cuts snippets, explains scores. Not reentrant. */
export class Hydrator {
  private readonly tokenizer: WordPieceTokenizer;
  private readonly impactScale: number;
  private readonly path: string;
  // Scratch by termId, all zero between calls.
  private readonly documentWeights: Float32Array;
  private readonly queryWeights: Float32Array;

  /**
   * @param impactScale weight = impact * impactScale
   * @param path of the index, for messages
   */
  constructor(tokenizer: WordPieceTokenizer, impactScale: number, path: string) {
    this.tokenizer = tokenizer;
    this.impactScale = impactScale;
    this.path = path;
    this.documentWeights = new Float32Array(tokenizer.vocabularySize);
    this.queryWeights = new Float32Array(tokenizer.vocabularySize);
  }

  /**
   * @returns one hit per document. Hits made after the deadline lack snippet, added words and explanation; then `complete` is false.
   * @throws WinnowError WINNOW_INDEX_CORRUPT
   */
  hydrate(
    { generation, text, quantized }: FoundQuery,
    docs: readonly FoundDoc[],
    { explain = false, highlight = true, fields }: HitOptions,
    deadline: Deadline,
  ): { readonly hits: readonly Hit[]; readonly complete: boolean } {
    const queryWords = wordsByToken(text, this.tokenizer);
    const finder = new TokenFinder(this.tokenizer, quantized.termIds);
    const explainer = explain
      ? new TokenExplainer(quantized, this.impactScale, this.tokenizer, queryWords)
      : undefined;
    let complete = true;
    const hits = docs.map((doc): Hit => {
      const record = generation.document(doc.view.segment.docKeys[doc.docId]!);
      if (!record) throw this.missingFields(doc);
      const { id, passage, title } = record;
      const metadata = fields ? chosen(record.metadata, fields) : record.metadata;
      const base = {
        id,
        ...(passage === undefined ? {} : { passage }),
        score: doc.score,
        title,
        ...(doc.relevance === undefined ? {} : { relevance: doc.relevance }),
        ...(explain && doc.stages ? { stages: doc.stages } : {}),
        ...(fields?.includes('text') ? { text: record.text } : {}),
      };
      const plain = () => ({ ...base, snippet: noSnippet(record.text), addedWords: [], metadata });
      if (!highlight && !explainer) return plain();
      if (!deadline.affords(record.text.length / CHARACTERS_PER_US)) {
        complete = false;
        return plain();
      }
      const { snippet, addedWords } = highlight
        ? this.words(doc, record, finder, quantized, queryWords)
        : { snippet: noSnippet(record.text), addedWords: [] };
      const explained = explainer?.explain(doc.view.segment, doc.docId, this.textIds(record));
      return {
        ...base,
        snippet,
        addedWords,
        metadata,
        ...(explained ? { explanation: explained.tokens } : {}),
        ...(explained?.omittedTokens ? { omittedTokens: explained.omittedTokens } : {}),
      };
    });
    return { hits, complete };
  }

  /** The token-by-token account of one document's score. */
  explain(
    { text, quantized }: Pick<FoundQuery, 'text' | 'quantized'>,
    segment: Pick<FoundSegment, 'vector'>,
    docId: number,
    record: StoredRecord,
  ): ScoreExplanation {
    const words = wordsByToken(text, this.tokenizer);
    const explainer = new TokenExplainer(quantized, this.impactScale, this.tokenizer, words);
    return explainer.explain(segment, docId, this.textIds(record));
  }

  /** Ids of the tokens in a document's title and text. */
  private textIds({ title, text }: StoredRecord): Set<number> {
    return new Set([...this.tokenizer.encode(title), ...this.tokenizer.encode(text)]);
  }

  private words(
    { view, docId }: FoundDoc,
    { title, text }: StoredRecord,
    finder: TokenFinder,
    query: QuantizedQuery,
    queryWords: ReadonlyMap<number, string>,
  ): HitWords {
    const { documentWeights, queryWeights, tokenizer } = this;
    const { termIds, impacts } = view.segment.vector(docId);
    for (let i = 0; i < termIds.length; i++) documentWeights[termIds[i]!] = impacts[i]! * this.impactScale;
    query.termIds.forEach((termId, i) => {
      // A query word that the document has without weight is still worth marking.
      queryWeights[termId] = (query.weights[i]! / query.scale) * (documentWeights[termId]! || 0.1);
    });
    const words = finder.find(text);
    const places =
      words.length > 0 ? matches(words, queryWeights) : topics(text, termIds, impacts, tokenizer);
    const snippet = makeSnippet(text, places);
    // Tokens that neither text nor title has were added by the model.
    const missing = new Set(
      query.termIds.filter((termId) => documentWeights[termId]! > 0 && finder.finds(termId)),
    );
    for (const { ids } of words) for (const termId of ids) missing.delete(termId);
    if (missing.size > 0) for (const termId of tokenizer.encode(title)) missing.delete(termId);
    const addedWords = [...missing]
      .sort((a, b) => queryWeights[b]! - queryWeights[a]!)
      .map((termId) => queryWords.get(termId) ?? tokenizer.tokens[termId]!);
    for (const termId of termIds) documentWeights[termId] = 0;
    for (const termId of query.termIds) queryWeights[termId] = 0;
    return { snippet, addedWords: [...new Set(addedWords)] };
  }

  private missingFields({ view, docId }: FoundDoc): WinnowError {
    return new WinnowError(
      'WINNOW_INDEX_CORRUPT',
      `document "${displayId(parseStoredId(view.segment.id(docId)))}" has postings but no stored fields`,
      { place: this.path, hint: `drop what is damaged with: winnow doctor --repair --index ${this.path}` },
    );
  }
}

/** Words of the query in a text. A token that comes again is worth less each time, so that a snippet shows different ones. */
function matches(words: readonly WordPieces[], queryWeights: Float32Array): Highlight[] {
  const repeats = new Map<number, number>();
  return words.map(({ start, end, ids }) => {
    let value = 0;
    for (const id of ids) {
      if (queryWeights[id] === 0) continue;
      const before = repeats.get(id) ?? 0;
      repeats.set(id, before + 1);
      value = Math.max(value, queryWeights[id]! / (1 + 0.5 * before));
    }
    return { start, end, value: value + 0.1, marked: true };
  });
}

/** Where a text speaks of what weighs most in it: what a snippet shows of a hit all of whose words were added by the model. */
function topics(
  text: string,
  termIds: ArrayLike<number>,
  impacts: ArrayLike<number>,
  { tokens }: WordPieceTokenizer,
): Highlight[] {
  const strongest = Array.from(termIds, (termId, i) => ({ token: tokens[termId]!, value: impacts[i]! }))
    .filter(({ token }) => /^[a-z]{3,}$/.test(token))
    .sort((a, b) => b.value - a.value)
    .slice(0, TOPICS);
  const lower = text.toLowerCase();
  // Some letters have a lower case of another length; then places cannot be told.
  if (lower.length !== text.length) return [];
  return strongest
    .flatMap(({ token, value }) => {
      const start = lower.indexOf(token);
      return start < 0 ? [] : [{ start, end: start + token.length, value, marked: false }];
    })
    .sort((a, b) => a.start - b.start)
    .filter(({ start }, i, all) => i === 0 || start >= all[i - 1]!.end);
}

function chosen(metadata: StoredRecord['metadata'], fields: readonly string[]): StoredRecord['metadata'] {
  return Object.fromEntries(Object.entries(metadata).filter(([name]) => fields.includes(name)));
}
