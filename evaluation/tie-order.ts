import type { ScoredDocument } from './metrics.ts';

const floatView = new DataView(new ArrayBuffer(4));

/** The greatest 32-bit float below a finite one or positive infinity. */
function nextSmaller(value: number): number {
  if (value === Number.POSITIVE_INFINITY) return 3.4028234663852886e38;
  if (value === 0) return -1.401298464324817e-45;
  floatView.setFloat32(0, value);
  const bits = floatView.getInt32(0);
  floatView.setInt32(0, value > 0 ? bits - 1 : bits + 1);
  return floatView.getFloat32(0);
}

/**
 * Makes scores agree with the order: each becomes a 32-bit float strictly below the one before, changed by as little as
 * possible. trec_eval sorts by 32-bit score and breaks ties by descending document id. Without this, a system that breaks ties
 * otherwise would be measured by an order that it never returned. Anserini does the same (ScoreTiesAdjusterReranker), in decimal.
 * Applied twice it changes nothing more.
 *
 * @param documents best first; a NaN counts as the smallest possible
 */
export function separateTies(documents: readonly ScoredDocument[]): ScoredDocument[] {
  let above = Number.POSITIVE_INFINITY;
  return documents.map(({ id, score }) => {
    const value = Math.fround(score);
    above = value < above ? value : nextSmaller(above);
    return { id, score: above };
  });
}
