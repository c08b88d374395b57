// Worker thread that computes the states of the frozen body.
import { serveBatches } from '../../transformer/worker.ts';
import { statesHead } from './states.ts';

serveBatches(statesHead);
