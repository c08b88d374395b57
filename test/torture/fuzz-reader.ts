// Child process: reads commands "FOLDER" a line, asks the index there everything, and answers one JSON line each:
// {"answer": digest} or {"code": "WINNOW_…"}, the latter with "repaired" after a repair: whether it could, and left a whole index.
// A crash is seen by the parent as the end of this process.
import { createHash } from 'node:crypto';
import { createInterface } from 'node:readline';
import { IdfQueryEncoder } from '../../encoder/idf-query.ts';
import { WordPieceTokenizer } from '../../encoder/transformer/tokenizer/wordpiece.ts';
import { WinnowError } from '../../errors.ts';
import { repairIndex } from '../../indexer/admin/repair.ts';
import { IndexStore } from '../../indexer/index-store.ts';
import { Searcher } from '../../query/search/searcher.ts';
import { source } from '../helpers/documents.ts';

const TERMS = 50;
const encoder = new IdfQueryEncoder(
  new WordPieceTokenizer(Array.from({ length: TERMS }, (_, id) => `t${id}`)),
  new Float32Array(TERMS).fill(1),
);

/** Hits in every mode with their stored fields, all documents by id, then a write and a merge. */
async function askEverything(folder: string): Promise<string> {
  const store = IndexStore.open(folder, { merges: 'inline' });
  try {
    const searcher = new Searcher(store, encoder);
    const digest = createHash('sha256');
    for (const query of ['t1 t2 t3', 't7 t29 t41', 't0 t11 t12 t13 t14', 'w3 d7 d11']) {
      for (const mode of ['sparse', 'bm25', 'hybrid'] as const) {
        const { hits } = searcher.search(query, { mode, k: 50 });
        digest.update(JSON.stringify(hits));
      }
      const filtered = searcher.search(query, { k: 50, filter: { year: 2003 } });
      digest.update(JSON.stringify(filtered.hits));
    }
    for (let i = 0; i < 200; i++) digest.update(JSON.stringify(store.get(`d${i}`) ?? null));
    store.upsert([source('fuzz', new Map([[1, 5]]))]);
    store.delete(['fuzz']);
    store.forceMerge();
    const { hits } = searcher.search('t1 t2 t3', { k: 50 });
    digest.update(JSON.stringify(hits));
    return digest.digest('hex');
  } finally {
    await store.close();
  }
}

async function afterRepair(folder: string): Promise<object> {
  try {
    return { code: 'WINNOW_INDEX_CORRUPT', repaired: await repair(folder) };
  } catch (error) {
    return { uncoded: `repair: ${(error as Error).stack}` };
  }
}

/** @throws what is no coded refusal, or comes of using a repaired index */
async function repair(folder: string): Promise<boolean> {
  try {
    await repairIndex(folder);
  } catch (error) {
    if (error instanceof WinnowError && error.code === 'WINNOW_INDEX_CORRUPT') return false;
    throw error;
  }
  const store = IndexStore.open(folder, { merges: 'inline' });
  try {
    for (const id of store.sourceIds()) store.get(id);
    store.upsert([source('repaired', new Map([[1, 5]]))]);
    store.forceMerge();
    store.verify();
  } finally {
    await store.close();
  }
  return true;
}

for await (const folder of createInterface({ input: process.stdin })) {
  let line: object;
  try {
    line = { answer: await askEverything(folder) };
  } catch (error) {
    const isCoded = error instanceof WinnowError && error.code === 'WINNOW_INDEX_CORRUPT';
    line = isCoded ? await afterRepair(folder) : { uncoded: String((error as Error).stack) };
  }
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
