import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readQueries } from '../corpus/beir.ts';
import { openCorpus } from '../corpus/open-corpus.ts';
import type { CorpusDocument } from '../corpus/types.ts';
import { WinnowError } from '../errors.ts';
import { packageRoot } from '../package-root.ts';

const DEMO = join(packageRoot, 'demo');

/** The first documents of a corpus, and of the demo without one. Bad rows are skipped. */
export async function readDocuments(corpus: string | undefined, limit: number): Promise<CorpusDocument[]> {
  const documents: CorpusDocument[] = [];
  for await (const item of await openCorpus(corpus ?? join(DEMO, 'corpus.jsonl'))) {
    if (documents.length >= limit) break;
    if ('document' in item) documents.push(item.document);
  }
  return documents;
}

/** @throws WinnowError WINNOW_BAD_DATASET for a corpus without queries of its own */
export async function readQueryTexts(
  corpus: string | undefined,
  queries: string | undefined,
): Promise<string[]> {
  if (corpus === undefined && queries === undefined) {
    const demo = JSON.parse(readFileSync(join(DEMO, 'queries.json'), 'utf8')) as { query: string }[];
    return demo.map(({ query }) => query);
  }
  const file = queries ?? join(corpus!, 'queries.jsonl');
  if (!existsSync(file))
    throw new WinnowError('WINNOW_BAD_DATASET', 'there are no queries', {
      place: file,
      hint: 'name them: --queries FILE',
    });
  return (await readQueries(file)).map(({ text }) => text);
}

const WORDS = 12;

/** Short documents for a bulk load: passages of some words from the corpus, each with a number. */
export function* shortDocuments(
  documents: readonly CorpusDocument[],
  count: number,
): Generator<{ id: string; text: string }> {
  for (let made = 0, round = 0; made < count; round++)
    for (const { text } of documents) {
      if (made >= count) return;
      const words = text.split(/\s+/);
      const start = (round * WORDS) % Math.max(1, words.length);
      yield { id: `bulk-${made}`, text: `${made} ${words.slice(start, start + WORDS).join(' ')}` };
      made++;
    }
}
