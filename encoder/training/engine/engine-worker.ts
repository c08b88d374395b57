// Worker thread of a training run: runs its part of every command.
import { parentPort, workerData } from 'node:worker_threads';
import { loadKernels } from '../../../kernels/index.ts';
import { packError } from '../../transformer/messages.ts';
import type { TrainingContext } from './plan.ts';
import { type Command, Program } from './program.ts';

const { context, index } = workerData as { readonly context: TrainingContext; readonly index: number };
loadKernels(context.plan.backend).lowerPriority?.();
const program = new Program(context, index);
parentPort!.on('message', (command: Command) => {
  try {
    program.run(command);
    parentPort!.postMessage({});
  } catch (error) {
    parentPort!.postMessage(packError(error));
  }
});
