import type { UpdateFactors } from './program.ts';

/** AdamW as the PyTorch recipe has it (gpu/optimizer.py). */
const [BETA1, BETA2, EPSILON] = [0.9, 0.98, 1e-7];
const WEIGHT_DECAY = 0.01;
/** Gradients longer than this are shortened to it. */
const LONGEST_GRADIENT = 1;
/** Share of the steps in which the rate rises. */
const WARM_UP = 0.06;

/** Linear warm-up, then linear decay to 0. @param step 0 .. steps - 1 */
export function learningRateAt(step: number, steps: number, peak: number): number {
  const warmUp = Math.max(1, Math.round(WARM_UP * steps));
  const rising = (step + 1) / warmUp;
  const falling = (steps - step) / Math.max(1, steps - warmUp);
  return peak * Math.min(1, rising, falling);
}

/**
 * @param step 0 for the first one
 * @param norm length of the gradient
 */
export function updateFactors(step: number, rate: number, norm: number): UpdateFactors {
  return {
    clip: norm > LONGEST_GRADIENT ? LONGEST_GRADIENT / norm : 1,
    rate: rate / (1 - BETA1 ** (step + 1)),
    decay: rate * WEIGHT_DECAY,
    beta1: BETA1,
    beta2: BETA2,
    rootCorrection: 1 / Math.sqrt(1 - BETA2 ** (step + 1)),
    epsilon: EPSILON,
  };
}
