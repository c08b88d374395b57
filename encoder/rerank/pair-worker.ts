// Worker thread of the cross-encoder.
import { serveBatches } from '../transformer/worker.ts';
import { pairHead } from './pair-head.ts';

serveBatches(pairHead);
