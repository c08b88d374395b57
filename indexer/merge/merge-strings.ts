import { lowerBound } from '../format/lower-bound.ts';
import { type EncodedStrings, StringCollector, type StringTable } from '../format/string-table.ts';

/** Stands for a string, list or document that the merged segment does not have. */
export const DROPPED = 0xffffffff;

export interface MergedStrings {
  /** By table: new index of each old string, ascending; {@link DROPPED} when no document uses it any more. */
  readonly newIndexes: readonly Uint32Array[];
  readonly count: number;
  readonly encoded: EncodedStrings;
}

/**
 * Joins sorted string tables into one without decoding a string.
 *
 * @param used by table: which of its strings to keep (not 0); all when left out
 */
export function mergeStrings(
  tables: readonly StringTable[],
  used: readonly (Uint8Array | undefined)[],
): MergedStrings {
  const newIndexes = tables.map((table) => new Uint32Array(table.length).fill(DROPPED));
  const collected = new StringCollector(tables.reduce((sum, { length }) => sum + length, 0));
  const cursors = tables.map((_, table) => nextUsed(table, 0));
  const compare = (a: number, b: number): number =>
    tables[a]!.compare(cursors[a]!, tables[b]!, cursors[b]!) || a - b;
  const queue = new MergeQueue(compare);
  tables.forEach((table, i) => {
    if (cursors[i]! < table.length) queue.add(i);
  });
  let count = 0;
  /** Table and index of the last kept string, to detect that the next one equals it. */
  let last = -1;
  let lastIndex = 0;
  for (let table = queue.first; table >= 0; table = queue.first) {
    const index = cursors[table]!;
    if (last < 0 || tables[table]!.compare(index, tables[last]!, lastIndex) !== 0) {
      collected.add(tables[table]!, index);
      count++;
      last = table;
      lastIndex = index;
    }
    newIndexes[table]![index] = count - 1;
    cursors[table] = nextUsed(table, index + 1);
    queue.replaceFirst(cursors[table]! < tables[table]!.length);
  }
  return { newIndexes, count, encoded: collected.encoded() };

  function nextUsed(table: number, from: number): number {
    const flags = used[table];
    let index = from;
    while (flags && index < flags.length && !flags[index]) index++;
    return index;
  }
}

/** The inputs of a k-way merge, kept in the order of their next items. */
export class MergeQueue {
  private readonly inputs: number[] = [];
  private readonly compare: (a: number, b: number) => number;

  /** @param compare orders two inputs by the item that each has next */
  constructor(compare: (a: number, b: number) => number) {
    this.compare = compare;
  }

  /** The input with the smallest next item; -1 when all inputs are exhausted. */
  get first(): number {
    return this.inputs[0] ?? -1;
  }

  add(input: number): void {
    let at = this.inputs.length;
    while (at > 0 && this.compare(this.inputs[at - 1]!, input) > 0) at--;
    this.inputs.splice(at, 0, input);
  }

  /** Sorts the first input in again after it has advanced, or removes it. */
  replaceFirst(hasMore: boolean): void {
    const { inputs } = this;
    const moved = inputs[0]!;
    if (!hasMore) {
      inputs.shift();
      return;
    }
    const end = 1 + lowerBound(inputs.length - 1, (i) => this.compare(inputs[i + 1]!, moved) < 0);
    for (let i = 1; i < end; i++) inputs[i - 1] = inputs[i]!;
    inputs[end - 1] = moved;
  }
}
