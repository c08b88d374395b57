import type { WordPieces, WordPieceTokenizer } from '../encoder/wordpiece.ts';
import type { StoredRecord } from '../indexer/records.ts';
import type { Deadline } from './deadline.ts';
import { TokenExplainer, wordsByToken } from './explain.ts';
import type { ImpactQuery } from './impact-query.ts';
import type { Hit, Located } from './search-types.ts';
import { makeSnippet, type Snippet } from './snippet.ts';

/** Characters of a text that become snippet and explanation in a microsecond on a slow machine. */
const CHARACTERS_PER_US = 2;

/** A hit's words: what is marked of its text, and which words of the query the model added to it. */
interface HitWords {
  readonly snippet: Snippet;
  readonly addedWords: readonly string[];
}

/** Makes hits from ranked documents and their stored fields. */
export class HitMaker {
  private readonly tokenizer: WordPieceTokenizer;
  private readonly impactScale: number;
  // Scratch by termId, all zero between calls.
  private readonly documentWeights: Float32Array;
  private readonly queryWeights: Float32Array;

  constructor(tokenizer: WordPieceTokenizer, impactScale: number) {
    this.tokenizer = tokenizer;
    this.impactScale = impactScale;
    this.documentWeights = new Float32Array(tokenizer.vocabularySize);
    this.queryWeights = new Float32Array(tokenizer.vocabularySize);
  }

  /**
   * @param text of the query
   * @returns makes one hit, and whether all of it; past the deadline it comes without snippet, added words and explanation
   */
  forQuery(
    text: string,
    impact: ImpactQuery,
    explain: boolean,
    deadline: Deadline,
  ): (found: Located, record: StoredRecord) => { readonly hit: Hit; readonly complete: boolean } {
    const queryWords = wordsByToken(text, this.tokenizer);
    const explainer = explain
      ? new TokenExplainer(impact, this.impactScale, this.tokenizer, queryWords)
      : undefined;
    return (found, record) => {
      const { id, passage, title, metadata } = record;
      const base = { id, ...(passage === undefined ? {} : { passage }), score: found.score, title };
      if (!deadline.affords(record.text.length / CHARACTERS_PER_US)) {
        const snippet = { parts: [], cutBefore: false, cutAfter: record.text.length > 0 };
        return { hit: { ...base, snippet, addedWords: [], metadata }, complete: false };
      }
      const words = this.tokenizer.words(record.text);
      const { snippet, addedWords } = this.words(found, record, words, impact, queryWords);
      const explained = explainer?.explain(found.view.segment, found.docId, this.textIds(record, words));
      const hit: Hit = {
        ...base,
        snippet,
        addedWords,
        metadata,
        ...(explained ? { explanation: explained.tokens } : {}),
        ...(explained?.omittedTokens ? { omittedTokens: explained.omittedTokens } : {}),
      };
      return { hit, complete: true };
    };
  }

  /** Ids of the tokens that stand in a document's title or text. @param words of the text */
  textIds(
    { title, text }: StoredRecord,
    words: readonly WordPieces[] = this.tokenizer.words(text),
  ): Set<number> {
    const ids = new Set(this.tokenizer.encode(title));
    for (const word of words) for (const id of word.ids) ids.add(id);
    return ids;
  }

  private words(
    { view, docId }: Located,
    { title, text }: StoredRecord,
    words: readonly WordPieces[],
    query: ImpactQuery,
    queryWords: ReadonlyMap<number, string>,
  ): HitWords {
    const { documentWeights, queryWeights, tokenizer } = this;
    const { termIds, impacts } = view.segment.vector(docId);
    for (let i = 0; i < termIds.length; i++) documentWeights[termIds[i]!] = impacts[i]! * this.impactScale;
    query.termIds.forEach((termId, i) => {
      // A query word that the document has without weight is still worth marking.
      queryWeights[termId] = (query.weights[i]! / query.scale) * (documentWeights[termId]! || 0.1);
    });
    const snippet = makeSnippet(text, words, queryWeights, documentWeights);
    // What is left after the words of the text have taken theirs was added by the model.
    const missing = new Set(query.termIds.filter((termId) => documentWeights[termId]! > 0));
    for (const { ids } of words) for (const termId of ids) missing.delete(termId);
    if (missing.size > 0) for (const termId of tokenizer.encode(title)) missing.delete(termId);
    const addedWords = [...missing]
      .sort((a, b) => queryWeights[b]! - queryWeights[a]!)
      .map((termId) => queryWords.get(termId) ?? tokenizer.tokens[termId]!);
    for (const termId of termIds) documentWeights[termId] = 0;
    for (const termId of query.termIds) queryWeights[termId] = 0;
    return { snippet, addedWords: [...new Set(addedWords)] };
  }
}
