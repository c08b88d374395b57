// Worker thread of the document encoder.
import { sparseHead } from './sparse-head.ts';
import { serveBatches } from './transformer/worker.ts';

serveBatches(sparseHead);
