/** Documents of one segment, best first: `docIds[i]` has `scores[i]`, for i < count. May be views, valid until the next search. */
export interface TopDocIds {
  readonly count: number;
  readonly docIds: ArrayLike<number>;
  readonly scores: ArrayLike<number>;
}

export interface SegmentTopDocs extends TopDocIds {
  /** False when the time budget ended the search early: better documents may exist. */
  readonly complete: boolean;
}

/** No document of the segment matches. */
export const NO_DOCS: SegmentTopDocs = { count: 0, docIds: [], scores: [], complete: true };
/** The time budget ended before any document was scored. */
export const UNKNOWN: SegmentTopDocs = { ...NO_DOCS, complete: false };

/**
 * The k best (score, rank) pairs seen so far: higher scores first, equal scores by smaller rank.
 *
 * A binary heap with the worst kept pair at the root, so that a pair which cannot enter costs one comparison.
 */
export class TopK {
  readonly k: number;
  size = 0;
  readonly scores: Float64Array;
  readonly ranks: Uint32Array;
  readonly docIds: Uint32Array;

  constructor(k: number) {
    this.k = k;
    this.scores = new Float64Array(k);
    this.ranks = new Uint32Array(k);
    this.docIds = new Uint32Array(k);
  }

  /** Score that a pair must reach (and, at equality, out-rank) to enter; 0 until k pairs are kept. */
  get threshold(): number {
    return this.size < this.k ? 0 : this.scores[0]!;
  }

  offer(score: number, rank: number, docId: number): void {
    if (this.size < this.k) {
      this.set(this.size++, score, rank, docId);
      this.siftUp(this.size - 1);
    } else if (this.k > 0 && this.before(score, rank, 0)) {
      this.set(0, score, rank, docId);
      this.siftDown();
    }
  }

  /** Kept documents, best first. */
  sorted(): TopDocIds {
    const order = Array.from({ length: this.size }, (_, i) => i).sort(
      (a, b) => this.scores[b]! - this.scores[a]! || this.ranks[a]! - this.ranks[b]!,
    );
    return {
      count: this.size,
      docIds: order.map((i) => this.docIds[i]!),
      scores: order.map((i) => this.scores[i]!),
    };
  }

  /** Whether (score, rank) is better than the pair at heap position `at`. */
  private before(score: number, rank: number, at: number): boolean {
    const other = this.scores[at]!;
    return score > other || (score === other && rank < this.ranks[at]!);
  }

  private set(at: number, score: number, rank: number, docId: number): void {
    this.scores[at] = score;
    this.ranks[at] = rank;
    this.docIds[at] = docId;
  }

  private swap(a: number, b: number): void {
    const [score, rank, docId] = [this.scores[a]!, this.ranks[a]!, this.docIds[a]!];
    this.set(a, this.scores[b]!, this.ranks[b]!, this.docIds[b]!);
    this.set(b, score, rank, docId);
  }

  private siftUp(from: number): void {
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.before(this.scores[parent]!, this.ranks[parent]!, at)) return;
      this.swap(parent, at);
      at = parent;
    }
  }

  private siftDown(): void {
    let at = 0;
    for (;;) {
      let worst = at;
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < this.size && this.before(this.scores[worst]!, this.ranks[worst]!, child)) worst = child;
      }
      if (worst === at) return;
      this.swap(worst, at);
      at = worst;
    }
  }
}
