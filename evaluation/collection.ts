import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Evaluator } from '../app/service/task-runners.ts';
import { defined } from '../defined.ts';
import { openDataset } from './dataset.ts';
import { evaluateSystem } from './evaluate.ts';

/** Most hits of one search. */
const MAX_HITS = 1000;
/** Hits per query that are judged unless a request says otherwise. */
const DEPTH = 100;
/** Timed passes over the queries, to the usual number of hits. */
const PASSES = 1;

/**
 * Measures a live collection with the queries and judgements of a BEIR folder. The ids of its documents must be those of the
 * judgements. Other requests come between two queries.
 *
 * @throws WinnowError WINNOW_NOT_FOUND, WINNOW_BAD_DATASET, WINNOW_NO_VECTORS, and the signal's reason
 */
export const evaluateCollection: Evaluator = async (backend, request, { signal, progress }) => {
  const { path, split, mode, rerank, depth = DEPTH } = request;
  const dataset = await openDataset(path, defined({ split }));
  const searches = dataset.queries.length * (1 + PASSES);
  let done = 0;
  const result = await evaluateSystem(
    dataset,
    {
      name: 'collection',
      async search({ text }, k) {
        await nextTurn();
        signal.throwIfAborted();
        const { hits } = await backend.search(
          {
            query: text,
            k: Math.min(k, MAX_HITS),
            groupByParent: true,
            highlight: false,
            syntax: 'plain',
            ...defined({ mode, rerank }),
          },
          signal,
        );
        progress({ done: ++done, total: searches, unit: 'queries' });
        return hits;
      },
    },
    { k: depth, passes: PASSES },
  );
  const { queries, means, latencyUs, dropped } = result;
  return {
    dataset: dataset.name,
    queries,
    measures: Object.fromEntries(means),
    droppedHits: dropped.hits,
    ...(latencyUs ? { latencyUs: { ...latencyUs } } : {}),
  };
};
