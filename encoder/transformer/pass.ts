import type { Arena, Kernels } from '../../kernels/index.ts';
import type { BodyWeights, SplitProduct } from './body-weights.ts';
import type { BodyWorkspace } from './workspace.ts';

/** Called by {@link runBody} with the f32 rows that a product takes, before they are quantised. Calibration uses it. */
export type Observer = (
  product: SplitProduct,
  layer: number,
  rows: { readonly offset: number; readonly count: number; readonly columns: number },
) => void;

/** What the steps of one forward pass share. */
export interface Pass {
  readonly kernels: Kernels;
  readonly weights: BodyWeights;
  readonly work: BodyWorkspace;
  readonly observe: Observer | undefined;
}

/** Writes the row ranges of a group. @returns their offset */
export function loadGroupStarts(
  arena: Arena,
  { groupStarts }: BodyWorkspace,
  lengths: readonly number[],
): number {
  const starts = arena.ints(groupStarts, lengths.length + 1);
  starts[0] = 0;
  lengths.forEach((length, at) => {
    starts[at + 1] = starts[at]! + length;
  });
  return groupStarts;
}
