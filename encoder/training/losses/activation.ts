import { type TermWeighting, termWeight } from '../../term-weight.ts';

/** The power has no finite slope at 0, so none is used below this activation. */
const LEAST_POWER_BASE = 1e-3;

/** A term by its logit x: activation a(x), weight a^exponent, and their slopes; all 0 for x <= 0. */
export interface ActivatedTerm {
  readonly activation: number;
  readonly activationSlope: number;
  readonly weight: number;
  readonly weightSlope: number;
}

const OFF: ActivatedTerm = { activation: 0, activationSlope: 0, weight: 0, weightSlope: 0 };

/** As {@link termWeight}, with derivatives. */
export function activate(logit: number, weighting: TermWeighting): ActivatedTerm {
  if (!(logit > 0)) return OFF;
  const { activation: kind, exponent } = weighting;
  const once = Math.log1p(logit);
  const activation = kind === 'log1p2' ? Math.log1p(once) : once;
  const activationSlope = 1 / (1 + logit) / (kind === 'log1p2' ? 1 + once : 1);
  if (exponent === 1)
    return { activation, activationSlope, weight: activation, weightSlope: activationSlope };
  const power = activation < LEAST_POWER_BASE ? 0 : exponent * activation ** (exponent - 1);
  return {
    activation,
    activationSlope,
    weight: termWeight(logit, weighting),
    weightSlope: power * activationSlope,
  };
}
