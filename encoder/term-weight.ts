import type { ModelConfig } from './model.ts';

/** How a logit becomes a term's weight. */
export type TermWeighting = Pick<ModelConfig['winnow'], 'activation' | 'exponent'>;

/** The weight of a term from its largest logit over a document's tokens, which must be above 0. */
export function termWeight(logit: number, { activation, exponent }: TermWeighting): number {
  const once = Math.log1p(logit);
  const weight = activation === 'log1p2' ? Math.log1p(once) : once;
  return exponent === 1 ? weight : weight ** exponent;
}
