import { serveBatches } from '../../../../encoder/transformer/worker.ts';
import { twoOutputHead } from './two-output-head.ts';

serveBatches(twoOutputHead);
