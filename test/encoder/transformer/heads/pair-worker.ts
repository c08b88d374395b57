import { serveBatches } from '../../../../encoder/transformer/worker.ts';
import { pairHead } from './pair-head.ts';

serveBatches(pairHead);
