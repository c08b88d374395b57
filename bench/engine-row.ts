import type { Latencies } from './latency.ts';

export interface EngineBenchRow extends Latencies {
  /** `exact`, `pruned` with its alpha, `filter` with the share of documents that it keeps, or a peer's name. */
  readonly mode: string;
  readonly backend: string;
  readonly k: number;
  /** Share of the true top k that was returned, over a sample of queries scored by brute force; ties count as equal. */
  readonly recall10: number;
  /** The next three are absent for peers. */
  readonly indexBytes?: number;
  /** Of the parts that sparse search reads; forward vectors and words not counted. */
  readonly bytesPerPosting?: number;
  readonly rssMB?: number;
  /** Absent for an index that was there. */
  readonly buildSeconds?: number;
}
