import { join } from 'node:path';
import { readBeirTopics } from '../../corpus/beir.ts';
import type { JudgedQueries } from '../../corpus/judged-queries.ts';
import { openCorpus } from '../../corpus/open-corpus.ts';
import { packageRoot } from '../../package-root.ts';
import type { Collection, MeasuredQuery } from './measure.ts';
import { asSources, type Passage } from './passages.ts';

/** What comes with the package to see what a model forgets, and to train one from scratch. A BEIR folder. */
export const CONTROL_SET = join(packageRoot, 'evaluation', 'control');

/** The control set: general questions on paragraphs of an encyclopedia (evaluation/control/README.md). */
export async function controlCollection(): Promise<Collection> {
  const passages: Passage[] = [];
  for await (const item of await openCorpus(CONTROL_SET, { strict: true }))
    if ('document' in item) {
      const { id, title, text } = item.document;
      passages.push({ id, title, text });
    }
  const { queries, qrels } = await readBeirTopics(CONTROL_SET);
  return {
    sources: asSources(passages),
    queries: queries.map(({ id, text }): MeasuredQuery => ({ id, query: text, grades: qrels.get(id)! })),
  };
}

/** The questions about the control set's other paragraphs, which a model from scratch may learn from. */
export async function controlTrainingQueries(): Promise<JudgedQueries> {
  const { queries, qrels } = await readBeirTopics(CONTROL_SET, 'train');
  const judged = queries.map(({ id, text }, i) => ({
    query: text,
    positives: [...qrels.get(id)!.keys()],
    negatives: [],
    line: i + 1,
  }));
  return { queries: judged, rows: judged.length, badRows: 0 };
}
