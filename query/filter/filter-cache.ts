import { createHash } from 'node:crypto';
import type { Segment } from '../../indexer/segment/segment.ts';
import type { IndexView, SegmentView } from '../../indexer/store/index-view.ts';
import type { Deadline } from '../deadline.ts';
import type { Filter } from '../request.ts';
import { intersect } from '../retrieve/accept-bits.ts';
import type { DocumentFilter } from '../retrieve/retriever.ts';
import type { TextConditions } from '../text/text-conditions.ts';
import { compileFilter, type Predicate } from './filter.ts';

/** Filters whose bitmaps are kept, per segment and per view of one. */
const CACHED_FILTERS = 64;

/** Turns filters into bitmaps of documents and keeps those of the latest filters. */
export class FilterCache {
  private readonly ofSegments = new Map<string, Uint8Array>();
  /** Bitmaps without the deleted documents of one view. */
  private readonly ofViews = new WeakMap<SegmentView, Map<string, Uint8Array>>();

  /**
   * The documents that are live, match the filter, and pass what posting lists say about the conditions.
   *
   * @throws WinnowError WINNOW_FILTER_FIELD, WINNOW_BAD_ARGUMENT
   */
  documents(
    generation: IndexView,
    filter: Filter | undefined,
    conditions: TextConditions | undefined,
    deadline: Deadline,
  ): DocumentFilter {
    const predicate = filter && compileFilter(filter, generation);
    const key = filter && keyOf(filter);
    return (view) => {
      const bitmap = predicate ? this.ofView(view, key!, predicate, deadline) : view.live;
      if (predicate && !bitmap) return undefined;
      return { acceptBits: conditions ? intersect(bitmap, conditions.possible(view)) : bitmap };
    };
  }

  private ofView(
    view: SegmentView,
    key: string,
    predicate: Predicate,
    deadline: Deadline,
  ): Uint8Array | undefined {
    let ofView = this.ofViews.get(view);
    if (!ofView || ofView.size >= CACHED_FILTERS) {
      ofView = new Map();
      this.ofViews.set(view, ofView);
    }
    const known = ofView.get(key);
    if (known) return known;
    const bitmap = this.ofSegment(view.segment, key, predicate, deadline);
    const accepted = bitmap && intersect(view.live, bitmap);
    if (accepted) ofView.set(key, accepted);
    return accepted;
  }

  private ofSegment(
    segment: Segment,
    key: string,
    predicate: Predicate,
    deadline: Deadline,
  ): Uint8Array | undefined {
    const segmentKey = `${segment.number} ${key}`;
    const known = this.ofSegments.get(segmentKey);
    if (known) return known;
    const bitmap = predicate(segment, deadline);
    if (!bitmap) return undefined;
    if (this.ofSegments.size >= CACHED_FILTERS) this.ofSegments.delete(this.ofSegments.keys().next().value!);
    this.ofSegments.set(segmentKey, bitmap);
    return bitmap;
  }
}

/** Long lists of values must not stay in memory as keys. */
function keyOf(filter: Filter): string {
  const text = JSON.stringify(filter);
  return text.length > 256 ? createHash('sha256').update(text).digest('base64') : text;
}
