import type { Manifest } from '../format/manifest.ts';
import { HEADER_KIND, type PartKind } from '../format/parts.ts';
import type { SegmentHeaderMaker } from '../segment/segment-writer.ts';
import type { OpenIndex } from '../store/open-index.ts';
import { removeSegment, type Storage } from '../store/storage.ts';
import {
  ownsRecord,
  putMergeRecord,
  removeLeftovers,
  removeMergeRecord,
  segmentsInMerges,
} from './merge-records.ts';
import { SegmentMerge } from './segment-merge.ts';

/** A merged segment of at least this many documents is reordered. */
const REORDER_FROM = 65_536;

/** Thrown by a checkpoint of a merge that is to stop. */
class MergeStopped extends Error {}

/** Carries out merges on the calling thread and swaps the results in. */
export class SegmentMerger {
  readonly reorderFrom: number;
  private readonly index: OpenIndex;
  private readonly storage: Storage;
  private readonly ownMergeIsRunning: () => boolean;

  /**
   * @param ownMergeIsRunning whether a merge record of this process may belong to a merge that is running now; a record may also
   *   be left over, where it could not be removed
   * @param reorderFrom documents of a merged segment from which similar ones are put next to each other; Infinity = never
   */
  constructor(index: OpenIndex, ownMergeIsRunning: () => boolean, reorderFrom = REORDER_FROM) {
    this.index = index;
    this.storage = index.storage;
    this.ownMergeIsRunning = ownMergeIsRunning;
    this.reorderFrom = reorderFrom;
  }

  /** Segments that a merge, of this or another process, is replacing now. */
  segmentsInMerges(): Set<number> {
    return segmentsInMerges(this.storage, this.ownMergeIsRunning());
  }

  /**
   * Builds the merged segment in memory and stores it in the transaction that swaps it in.
   *
   * @param numbers segments to merge; nothing happens when another writer has taken one of them
   */
  mergeInOneTransaction(numbers: readonly number[]): void {
    const merge = new SegmentMerge(this.index.reader.view(), numbers, this.reorderFrom);
    const parts: [PartKind, Uint8Array][] = [];
    const header = merge.build((kind, bytes) => parts.push([kind, bytes]));
    this.index.transactions.commit((manifest, deletions) => {
      removeLeftovers(this.storage, this.ownMergeIsRunning());
      if (!this.areFree(manifest, numbers)) return [manifest, undefined];
      const output = manifest.nextSegment;
      for (const [kind, bytes] of parts) this.index.transactions.putPart(output, kind, bytes);
      const next = this.replaceInputs(manifest, merge, output, header, deletions);
      return [{ ...next, nextSegment: output + 1 }, undefined];
    });
  }

  /**
   * Merges segments of any size: stores each part in a transaction of its own as soon as it is made, so that memory is bounded by
   * the vectors and one other part, and other writers wait for one part at most. The parts become visible with the last
   * transaction, which swaps them in. The next merge removes the remains of one that was killed.
   *
   * @param numbers segments to merge; nothing happens when another writer has taken one of them
   * @param isStopped called now and then: true ends the merge and removes what it stored
   */
  mergePartByPart(numbers: readonly number[], isStopped: () => boolean = () => false): void {
    const output = this.claim(numbers);
    if (output === undefined) return;
    const view = this.index.reader.view().acquire();
    const checkpoint = (): void => {
      if (isStopped()) throw new MergeStopped();
    };
    try {
      const merge = new SegmentMerge(view, numbers, this.reorderFrom, checkpoint);
      const header = merge.build((kind, bytes) => {
        checkpoint();
        this.index.transactions.inWriteTransaction(() => {
          this.index.transactions.putPart(output, kind, bytes);
        });
      });
      checkpoint();
      this.index.transactions.commit((manifest, deletions) => {
        if (!ownsRecord(this.storage, output)) return [manifest, undefined]; // removed as left over, with its parts
        removeMergeRecord(this.storage, output, { parts: false });
        return [this.replaceInputs(manifest, merge, output, header, deletions), undefined];
      });
    } catch (error) {
      this.cleanUp(output);
      if (!(error instanceof MergeStopped)) throw error;
    } finally {
      view.release();
    }
  }

  /** Records a merge. @returns the number of its result; undefined when another writer has taken one of the inputs */
  private claim(numbers: readonly number[]): number | undefined {
    return this.index.transactions.commit<number | undefined>((manifest) => {
      removeLeftovers(this.storage, this.ownMergeIsRunning());
      if (!this.areFree(manifest, numbers)) return [manifest, undefined];
      putMergeRecord(this.storage, manifest.nextSegment, numbers);
      return [{ ...manifest, nextSegment: manifest.nextSegment + 1 }, manifest.nextSegment];
    });
  }

  private areFree(manifest: Manifest, numbers: readonly number[]): boolean {
    const taken = this.segmentsInMerges();
    const present = new Set(manifest.segments.map(({ number }) => number));
    return numbers.every((number) => present.has(number) && !taken.has(number));
  }

  private cleanUp(output: number): void {
    try {
      this.index.transactions.commit((manifest) => {
        removeMergeRecord(this.storage, output, { parts: true });
        return [manifest, undefined];
      });
    } catch {
      // On a full disk this fails too. The next merge cleans up, and the first error is the one to report.
    }
  }

  /** Inside a write transaction: swaps a merged segment in for its inputs, less what was deleted since the merge began. */
  private replaceInputs(
    manifest: Manifest,
    merge: SegmentMerge,
    output: number,
    header: SegmentHeaderMaker,
    deletions: Set<number>,
  ): Manifest {
    const { transactions } = this.index;
    const inputs = new Set(merge.numbers);
    const others = manifest.segments.filter(({ number }) => !inputs.has(number));
    const present = manifest.segments.filter(({ number }) => inputs.has(number));
    const tombstones = new Map(present.map((ref) => [ref.number, transactions.tombstonesOf(ref)]));
    for (const docKey of merge.deletedSince(tombstones)) deletions.add(docKey);
    for (const { number } of present) removeSegment(this.storage, number);
    if (merge.numDocs === 0) return { ...manifest, segments: others };
    transactions.putPart(output, HEADER_KIND, header(output));
    return {
      ...manifest,
      segments: [...others, { number: output, numDocs: merge.numDocs, numDeleted: 0 }],
    };
  }
}
