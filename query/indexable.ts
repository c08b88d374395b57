import type { Model } from '../encoder/model-file.ts';
import type { IndexableDocument, WeightVector } from '../indexer/types.ts';
import { analyze } from './english-analyzer.ts';

/** What of a document is encoded and searched: its title and its text. */
export const searchableText = ({ title, text }: { readonly title: string; readonly text: string }): string =>
  title ? `${title} ${text}` : text;

/** A document with all that an index keeps of its text. @param vector empty in an index of words alone */
export function indexable(
  document: IndexableDocument['document'],
  vector: WeightVector,
  model: Model,
): IndexableDocument {
  const text = searchableText(document);
  const words = analyze(text);
  // Pieces tell which terms of a vector stand in the text: without terms nothing asks for them.
  if (vector.termIds.length === 0) return { document, vector, words };
  return { document, vector, words, pieces: model.query.tokenizer.encode(text) };
}
