import type { WinnowError } from '../errors.ts';
import { openBytes, readFailure, sourceName } from './byte-source.ts';
import { RowProblem } from './document-row.ts';
import { lineText, parseJsonObject } from './jsonl.ts';
import { DEFAULT_MAX_LINE_BYTES, readLines } from './lines.ts';

/** A document as a bag of weighted terms. */
export interface VectorDocument {
  readonly id: string;
  /** Text to store; may be empty. */
  readonly text: string;
  /** Term to weight > 0. */
  readonly vector: ReadonlyMap<string, number>;
}

export type VectorItem = { readonly row: VectorDocument } | { readonly error: WinnowError };

/**
 * Reads the JSON vector collection of Anserini and Pyserini, one document per line: `{"id", "contents"?, "vector": {term:
 * weight}}`; plain, `.gz`, `.xz` or standard input (`-`). A bad row is an item of its own, and reading continues after it.
 *
 * @throws WinnowError WINNOW_NOT_FOUND, WINNOW_BAD_DATASET from the iteration when the file cannot be read
 */
export async function* readJsonVectors(path: string): AsyncGenerator<VectorItem> {
  const name = sourceName(path);
  try {
    for await (const line of readLines(openBytes(path), DEFAULT_MAX_LINE_BYTES)) {
      const text = lineText(line, name, DEFAULT_MAX_LINE_BYTES);
      if (typeof text !== 'string') {
        yield { error: text };
        continue;
      }
      if (text.trim() === '') continue;
      try {
        yield { row: vectorDocument(parseJsonObject(text)) };
      } catch (error) {
        if (!(error instanceof RowProblem)) throw error;
        yield { error: error.at(name, line.line) };
      }
    }
  } catch (error) {
    throw readFailure(error, path);
  }
}

function vectorDocument({ id, contents = '', vector }: Record<string, unknown>): VectorDocument {
  const problem = (message: string) => new RowProblem('WINNOW_BAD_ROW', message);
  if (typeof id !== 'string' && typeof id !== 'number') throw problem('a row needs an "id"');
  if (typeof contents !== 'string') throw problem('"contents" must be a text');
  if (typeof vector !== 'object' || vector === null || Array.isArray(vector))
    throw problem('a row needs a "vector" of term and weight');
  const weights = new Map<string, number>();
  for (const [term, weight] of Object.entries(vector)) {
    if (typeof weight !== 'number' || !(weight >= 0))
      throw problem(`the weight of "${term}" is no number >= 0`);
    if (weight > 0) weights.set(term, weight);
  }
  return { id: String(id), text: contents, vector: weights };
}

/** One line of the collection, with its line feed. */
export function formatJsonVector({ id, text, vector }: VectorDocument): string {
  return `${JSON.stringify({ id, contents: text, vector: Object.fromEntries(vector) })}\n`;
}
