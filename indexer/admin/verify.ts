import { join } from 'node:path';
import { isLive } from '../format/bitmap.ts';
import { corrupt } from '../format/errors.ts';
import { displayId, parseStoredId, storedId } from '../format/stored-id.ts';
import { INDEX_FILE } from '../store/files.ts';
import type { IndexView } from '../store/index-view.ts';
import { checkLmdbFile } from '../store/lmdb-check.ts';
import type { OpenIndex } from '../store/open-index.ts';

/**
 * Reads every page of the file, every byte of every segment, and every stored document.
 *
 * @throws WinnowError WINNOW_INDEX_CORRUPT for the first thing that is damaged
 */
export function verifyIndex({ path, reader }: OpenIndex): void {
  checkLmdbFile(join(path, INDEX_FILE), { deep: true });
  const view = reader.view();
  for (const { segment } of view.segments) segment.verify();
  verifyDocuments(view, path);
}

/** Compares the id of each live document in the segments with the entry of its source and with its stored fields. */
function verifyDocuments(view: IndexView, path: string): void {
  // Passages of one source are mostly neighbours, so its entry is read once.
  let last: { readonly id: string; readonly keys: ReadonlySet<number> } | undefined;
  for (const { segment, live } of view.segments) {
    for (let docId = 0; docId < segment.numDocs; docId++) {
      if (!isLive(live, docId)) continue;
      const stored = segment.id(docId);
      const ref = parseStoredId(stored);
      const docKey = segment.docKeys[docId]!;
      if (last?.id !== ref.id) last = { id: ref.id, keys: new Set(view.source(ref.id)?.keys) };
      if (!last.keys.has(docKey))
        throw corrupt(`${path}, database sources`, `"${displayId(ref)}" is not where it should be`);
      const record = view.document(docKey);
      if (!record || storedId(record.id, record.passage) !== stored)
        throw corrupt(path, `the stored fields of "${displayId(ref)}" are missing`);
    }
  }
}
