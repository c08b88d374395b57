import { isLive } from '../format/bitmap.ts';
import { PART_NAMES, type PartKind, type PartName } from '../format/parts.ts';
import type { Segment } from '../segment/segment.ts';
import type { OpenIndex } from '../store/open-index.ts';
import type { IndexStats } from '../types.ts';

/** Live documents of a segment that have a dense vector. */
function withVectors(segment: Segment, live: Uint8Array | undefined): number {
  const { denseVectors } = segment;
  if (!denseVectors) return 0;
  let count = 0;
  for (let docId = 0; docId < segment.numDocs; docId++)
    if (isLive(live, docId) && denseVectors.has(docId)) count++;
  return count;
}

/** @param merging segments that a merge is replacing now */
export function indexStats({ reader, storage }: OpenIndex, merging: number): IndexStats {
  const view = reader.view();
  const { manifest } = view;
  const bytes: Partial<Record<PartName, number>> = {};
  for (const { segment } of view.segments) {
    for (const [kind, { numBytes }] of segment.entries) {
      const name = PART_NAMES[kind as PartKind];
      bytes[name] = (bytes[name] ?? 0) + numBytes;
    }
  }
  return {
    generation: manifest.generation,
    documents: view.numLive,
    deleted: manifest.segments.reduce((sum, { numDeleted }) => sum + numDeleted, 0),
    sources: storage.sources.getCount(),
    segments: manifest.segments.length,
    merging,
    withVectors: view.segments.reduce((sum, { segment, live }) => sum + withVectors(segment, live), 0),
    postings: view.segments.reduce((sum, { segment }) => sum + segment.numPostings, 0),
    bytes,
    settings: manifest.settings,
  };
}
