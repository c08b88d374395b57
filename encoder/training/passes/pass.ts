import type { Kernels } from '../../../kernels/index.ts';
import type { Team } from '../engine/team.ts';

/** What a thread computes with. */
export interface Thread {
  readonly kernels: Kernels;
  readonly team: Team;
  /** Scratch of this thread for products and attention. */
  readonly scratch: number;
}

/** The sequences that are in the arena: rows of all of them, and i32[sequences + 1] first rows. */
export interface Batch {
  readonly rows: number;
  readonly sequences: number;
  readonly starts: number;
}

/** Part of a gradient, to be computed by any one thread. */
export type GradientTask = (thread: Thread) => void;

/** Rows that pass through a step at once: a multiple of the rows of every tile, so many that packing the weights costs little. */
const CHUNK_ROWS = 384;

/** Calls `step(first, count)` over the rows in pieces, on all threads; returns when all are done. */
export function eachChunk(
  { team }: Thread,
  rows: number,
  step: (first: number, count: number) => void,
): void {
  team.each(Math.ceil(rows / CHUNK_ROWS), (item) => {
    const first = item * CHUNK_ROWS;
    step(first, Math.min(CHUNK_ROWS, rows - first));
  });
}

/** Runs tasks on all threads. */
export const eachTask = (thread: Thread, tasks: readonly GradientTask[]): void =>
  thread.team.each(tasks.length, (item) => tasks[item]!(thread));
