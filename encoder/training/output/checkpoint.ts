import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { deserialize, serialize } from 'node:v8';
import { WinnowError } from '../../../errors.ts';
import { writeAtomically } from '../data/atomic-file.ts';
import type { TrainedState } from '../engine/engine.ts';
import type { ObjectiveState } from '../objectives/objective.ts';

/** Everything that a run needs to go on as if it had never stopped. */
export interface Checkpoint {
  /** Of the model, the examples and the options that decide the result. */
  readonly identity: string;
  /** Steps done. */
  readonly step: number;
  readonly losses: readonly number[];
  readonly objective: ObjectiveState;
  readonly trained: TrainedState;
  readonly best: BestScore;
}

/** What validation has found so far. */
export interface BestScore {
  readonly firstScore: number | undefined;
  readonly score: number | undefined;
  readonly step: number;
  /** Validations since the best one. */
  readonly waited: number;
  /** The step that was validated last. */
  readonly validated: number;
}

const FILE = 'training.checkpoint';
const HASH_BYTES = 32;

const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();

/** Replaces the folder's checkpoint as a whole. */
export function writeCheckpoint(folder: string, checkpoint: Checkpoint): void {
  const bytes = serialize(checkpoint);
  writeAtomically(join(folder, FILE), Buffer.concat([sha256(bytes), bytes]));
}

/**
 * @returns undefined where the folder has none
 * @throws WinnowError WINNOW_TRAINING_MISMATCH for one of another run, or a damaged one
 */
export function readCheckpoint(folder: string, identity: string): Checkpoint | undefined {
  const path = join(folder, FILE);
  if (!existsSync(path)) return undefined;
  const file = readFileSync(path);
  const bytes = file.subarray(HASH_BYTES);
  const isWhole = file.length > HASH_BYTES && sha256(bytes).equals(file.subarray(0, HASH_BYTES));
  if (!isWhole) throw mismatch(path, 'the checkpoint is damaged');
  const checkpoint = deserialize(bytes) as Checkpoint;
  if (checkpoint.identity !== identity)
    throw mismatch(path, 'the checkpoint is of another model, other examples or other options');
  return checkpoint;
}

const mismatch = (place: string, message: string): WinnowError =>
  new WinnowError('WINNOW_TRAINING_MISMATCH', message, {
    place,
    hint: 'train with the same model, examples and options, or name another folder for checkpoints, or delete this one',
  });
