/** The document encoder's arithmetic: BERT-shaped models on kernels/, on worker threads. */
export type { TokenSequence } from './bert-body.ts';
export { quantizeWeightRows } from './bert-weights.ts';
export { createForward, type Forward, type ForwardOptions } from './forward.ts';
