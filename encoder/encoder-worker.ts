// Worker thread of a document encoder with two outputs.
import { encoderHead } from './encoder-head.ts';
import { serveBatches } from './transformer/worker.ts';

serveBatches(encoderHead);
