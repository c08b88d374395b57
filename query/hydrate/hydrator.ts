import type { IdfQueryEncoder } from '../../encoder/idf-query.ts';
import type { WordPieceTokenizer } from '../../encoder/transformer/tokenizer/wordpiece.ts';
import { WinnowError } from '../../errors.ts';
import { positionOf } from '../../indexer/format/lower-bound.ts';
import { displayId, parseStoredId } from '../../indexer/format/stored-id.ts';
import type { StoredRecord } from '../../indexer/store/records.ts';
import type { ImpactVector } from '../../indexer/types.ts';
import type { Deadline } from '../deadline.ts';
import type { SearchOptions } from '../request.ts';
import type { Hit } from '../response.ts';
import type { FoundDoc, FoundQuery, FoundSegment } from '../retrieve/retriever.ts';
import type { QuantizedQuery } from '../weights/quantized-query.ts';
import { DocumentCache, type ReadDocument } from './document-cache.ts';
import { QueryWords } from './query-words.ts';
import { type Highlight, makeSnippet, type Snippet } from './snippet.ts';
import type { TextWords } from './text-words.ts';
import { type ScoreExplanation, TokenExplainer } from './token-explanation.ts';
import { TokenBeginnings } from './token-finder.ts';

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

/** Hits are filled field by field, which takes a fraction of the time of joining objects. */
type MutableHit = { -readonly [Field in keyof Hit]: Hit[Field] };

type HitOptions = Pick<SearchOptions, 'explain' | 'highlight' | 'fields'>;

/** Turns ranked documents into hits: reads their stored fields, cuts snippets, explains scores. Not reentrant. */
export class Hydrator {
  private readonly encoder: IdfQueryEncoder;
  private readonly tokenizer: WordPieceTokenizer;
  private readonly impactScale: number;
  private readonly path: string;
  private readonly documents: DocumentCache;
  private readonly beginnings: TokenBeginnings;
  /** Scratch by termId, all zero between calls. */
  private readonly queryWeights: Float32Array;
  /** How often a token was found in a text so far; scratch as well. */
  private readonly repeats: Uint32Array;

  /**
   * @param impactScale weight = impact * impactScale
   * @param path of the index, for messages
   */
  constructor(encoder: IdfQueryEncoder, impactScale: number, path: string) {
    const { tokenizer } = encoder;
    this.encoder = encoder;
    this.tokenizer = tokenizer;
    this.impactScale = impactScale;
    this.path = path;
    this.documents = new DocumentCache(tokenizer);
    this.beginnings = new TokenBeginnings(tokenizer);
    this.queryWeights = new Float32Array(tokenizer.vocabularySize);
    this.repeats = new Uint32Array(tokenizer.vocabularySize);
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
    const words = new QueryWords(text, quantized, this.encoder, this.beginnings);
    const explainer = explain ? this.explainerOf(quantized, words) : undefined;
    let complete = true;
    const hits = docs.map((doc): Hit => {
      const document = this.documents.get(generation, doc.view.segment.docKeys[doc.docId]!);
      if (!document) throw this.missingFields(doc);
      const { record } = document;
      const isAfforded =
        !(highlight || explainer) || deadline.affords(record.text.length / CHARACTERS_PER_US);
      if (!isAfforded) complete = false;
      const found = isAfforded && highlight ? this.words(doc, document, words) : undefined;
      const explained =
        isAfforded && explainer?.explain(doc.view.segment, doc.docId, () => this.textIds(record));
      const hit = storedFields(record, doc, fields) as MutableHit;
      if (explain && doc.stages) hit.stages = doc.stages;
      hit.snippet = found?.snippet ?? noSnippet(record.text);
      hit.addedWords = found?.addedWords ?? [];
      if (explained) hit.explanation = explained.tokens;
      if (explained && explained.omittedTokens > 0) hit.omittedTokens = explained.omittedTokens;
      return hit;
    });
    return { hits, complete };
  }

  /** The token-by-token account of one document's score. */
  explain(
    { text, quantized }: Pick<FoundQuery, 'text' | 'quantized'>,
    segment: Pick<FoundSegment, 'vector' | 'isInText'>,
    docId: number,
    record: StoredRecord,
  ): ScoreExplanation {
    const words = new QueryWords(text, quantized, this.encoder, this.beginnings);
    return this.explainerOf(quantized, words).explain(segment, docId, () => this.textIds(record));
  }

  private explainerOf(query: QuantizedQuery, words: QueryWords): TokenExplainer {
    return new TokenExplainer(query, this.impactScale, this.tokenizer, words.byToken);
  }

  /** Ids of the tokens in a document's title and text. */
  private textIds({ title, text }: StoredRecord): Set<number> {
    return new Set([...this.tokenizer.encode(title), ...this.tokenizer.encode(text)]);
  }

  private words(
    { view, docId }: FoundDoc,
    { record, words: read, titleIds }: ReadDocument,
    query: QueryWords,
  ): HitWords {
    const { text } = record;
    const { queryWeights } = this;
    const { finder } = query;
    const { termIds, weights, scale } = query.quantized;
    const vector = view.segment.vector(docId);
    const found = finder.find(read);
    // Tokens that neither text nor title has were added by the model.
    let added: number[] = [];
    for (let i = 0, from = 0; i < termIds.length; i++) {
      const termId = termIds[i]!;
      from = positionOf(vector.termIds, termId, from);
      const impact = vector.termIds[from] === termId ? vector.impacts[from]! : 0;
      if (impact > 0 && finder.finds(termId)) added.push(termId);
      // A query word that the document has without weight is still worth marking.
      queryWeights[termId] = (weights[i]! / scale) * (Math.fround(impact * this.impactScale) || 0.1);
    }
    const places =
      found.length > 0
        ? matches(read, found, queryWeights, this.repeats)
        : topics(text, vector, this.tokenizer);
    const snippet = makeSnippet(text, places);
    if (added.length > 0)
      added = added.filter((termId) => this.repeats[termId] === 0 && !titleIds.includes(termId));
    added.sort((a, b) => queryWeights[b]! - queryWeights[a]!);
    for (let i = 0; i < termIds.length; i++) {
      queryWeights[termIds[i]!] = 0;
      this.repeats[termIds[i]!] = 0;
    }
    return { snippet, addedWords: query.wordsOf(added) };
  }

  private missingFields({ view, docId }: FoundDoc): WinnowError {
    return new WinnowError(
      'WINNOW_INDEX_CORRUPT',
      `document "${displayId(parseStoredId(view.segment.id(docId)))}" has postings but no stored fields`,
      { place: this.path, hint: `drop what is damaged with: winnow doctor --repair --index ${this.path}` },
    );
  }
}

/**
 * Words of the query in a text. A token that comes again is worth less each time, so that a snippet shows different ones.
 *
 * @param repeats is raised by how often the text has each token of the query
 */
function matches(
  words: TextWords,
  found: Uint32Array,
  queryWeights: Float32Array,
  repeats: Uint32Array,
): Highlight[] {
  const places: Highlight[] = [];
  const worth = (id: number): number =>
    queryWeights[id] === 0 ? 0 : queryWeights[id]! / (1 + 0.5 * repeats[id]!++);
  for (const word of found) {
    let value = worth(words.firstIdOf(word));
    const ids = words.piecesOf(word);
    if (ids) for (let i = 1; i < ids.length; i++) value = Math.max(value, worth(ids[i]!));
    places.push({ start: words.startOf(word), end: words.endOf(word), value: value + 0.1, marked: true });
  }
  return places;
}

/** Where a text speaks of what weighs most in it: what a snippet shows of a hit all of whose words were added by the model. */
function topics(
  text: string,
  { termIds, impacts }: ImpactVector,
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

/** What a hit has of its document as it is stored, and of its ranking. */
function storedFields(
  { id, passage, title, text, metadata }: StoredRecord,
  { score, relevance }: FoundDoc,
  fields: HitOptions['fields'],
): Omit<Hit, 'snippet' | 'addedWords'> {
  const stored: { -readonly [Field in keyof Hit]?: Hit[Field] } = { id };
  if (passage !== undefined) stored.passage = passage;
  stored.score = score;
  stored.title = title;
  if (relevance !== undefined) stored.relevance = relevance;
  if (fields?.includes('text')) stored.text = text;
  stored.metadata = fields ? chosen(metadata, fields) : metadata;
  return stored as Omit<Hit, 'snippet' | 'addedWords'>;
}

function chosen(metadata: StoredRecord['metadata'], fields: readonly string[]): StoredRecord['metadata'] {
  return Object.fromEntries(Object.entries(metadata).filter(([name]) => fields.includes(name)));
}
