// Q queries, D passages of a batch.

/** A loss with its gradient by each score, [Q][D]. */
export interface RankingLoss {
  readonly loss: number;
  readonly dScores: readonly Float64Array[];
}

/**
 * Listwise KL(target || softmax(scores)), mean over queries. With a target of 1 at the relevant passage and the others of the batch as
 * negatives this is InfoNCE (van den Oord et al., arXiv 1807.03748) up to a constant that is 0.
 *
 * @param scores [Q][D]; -Infinity: the passage does not take part for this query
 * @param targets [Q][D], each row sums to 1
 */
export function listwise(scores: readonly Float64Array[], targets: readonly Float64Array[]): RankingLoss {
  let loss = 0;
  const share = 1 / scores.length;
  const dScores = scores.map((row, query) => {
    const target = targets[query]!;
    const top = row.reduce((most, score) => Math.max(most, score), -Infinity);
    const total = row.reduce((sum, score) => sum + Math.exp(score - top), 0);
    const logTotal = top + Math.log(total);
    return row.map((score, d) => {
      const wanted = target[d]!;
      if (wanted > 0) loss += share * wanted * (Math.log(wanted) - (score - logTotal));
      return share * (Math.exp(score - logTotal) - wanted);
    });
  });
  return { loss, dScores };
}

/** How sharp a target is: scores of 0..1 times this are the teacher's logits. */
const TEACHER_SCALE = 12;

/**
 * A query's target over its own passages: the softmax of the teacher's scores, scaled to 0..1 over them (Geng et al., arXiv 2411.04403,
 * Eq 8); without a teacher the first passage has it all.
 */
export function targetOf(count: number, targets: readonly number[] | undefined): Float64Array {
  const target = new Float64Array(count);
  if (!targets || count === 1) {
    target[0] = 1;
    return target;
  }
  const [low, high] = [Math.min(...targets), Math.max(...targets)];
  const range = high - low || 1;
  const powers = targets.map((score) => Math.exp((TEACHER_SCALE * (score - high)) / range));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return target.map((_, i) => powers[i]! / total);
}
