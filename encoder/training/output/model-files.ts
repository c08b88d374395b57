import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { syncFolder } from '../../../durable-files.ts';
import { WinnowError } from '../../../errors.ts';
import { calibrateScreen } from '../../calibrate-screen.ts';
import { SCREEN_FILE, screenOf } from '../../head-screen.ts';
import { openModel } from '../../model.ts';
import { EARLY_EXIT_FILE } from '../../rerank/early-exit.ts';
import { TOKEN_VECTORS_FILE } from '../../token-vectors.ts';
import type { TokenSequence } from '../../transformer/batches.ts';
import { encodeWeights, type Tensor } from '../../transformer/weights-file.ts';
import { writeAtomically } from '../data/atomic-file.ts';

/** Files of a model that training does not change. */
const UNCHANGED = ['config.json', 'tokenizer.json', 'idf.json', TOKEN_VECTORS_FILE];

/**
 * Writes a model folder with new weights and the other files of `source`. A screen and an early exit belong to the weights that they were made
 * for, so there are none: {@link addScreen} makes a screen.
 *
 * @param folder replaced as a whole
 */
export function writeModel(source: string, folder: string, tensors: ReadonlyMap<string, Tensor>): void {
  replaceFolder(folder, (partial) => {
    for (const name of UNCHANGED)
      if (existsSync(join(source, name)))
        writeAtomically(join(partial, name), readFileSync(join(source, name)));
    writeAtomically(join(partial, 'weights.winnow'), encodeWeights(tensors));
  });
}

/** What a model folder may hold besides {@link UNCHANGED}. */
const OTHER_FILES = ['weights.winnow', SCREEN_FILE, EARLY_EXIT_FILE, 'README.md'];

/**
 * Rejects a folder that is not a model's alone, since it would be replaced.
 *
 * @throws WinnowError WINNOW_ALREADY_EXISTS
 */
export function requireReplaceable(folder: string): void {
  if (!existsSync(folder)) return;
  const isFolder = statSync(folder).isDirectory();
  const other =
    isFolder && readdirSync(folder).find((name) => ![...UNCHANGED, ...OTHER_FILES].includes(name));
  if (isFolder && other === undefined) return;
  throw new WinnowError(
    'WINNOW_ALREADY_EXISTS',
    other ? `the folder holds "${other}", which is no part of a model` : 'there is a file of that name',
    { place: folder, hint: 'name a folder that does not exist yet, or one that holds nothing but a model' },
  );
}

/** Copies a model folder. @param to replaced as a whole */
export const copyModel = (from: string, to: string): void =>
  replaceFolder(to, (partial) => {
    for (const name of [...UNCHANGED, ...OTHER_FILES])
      if (existsSync(join(from, name))) cpSync(join(from, name), join(partial, name));
  });

/**
 * Builds a folder beside its place and moves it there. A crash leaves the old folder or the new one, or, between two names, the new one
 * under the name `<folder>.partial`.
 */
function replaceFolder(folder: string, build: (partial: string) => void): void {
  requireReplaceable(folder);
  const path = resolve(folder);
  const partial = `${path}.partial`;
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(partial, { recursive: true });
  build(partial);
  syncFolder(partial);
  rmSync(path, { recursive: true, force: true });
  renameSync(partial, path);
  syncFolder(dirname(path));
}

/** Sequences that a screen is made from at most. */
const SCREEN_SEQUENCES = 400;

/** Makes the screen of a model for texts like those that it was trained on. */
export async function addScreen(folder: string, sequences: readonly TokenSequence[]): Promise<void> {
  const model = openModel(folder);
  const every = Math.max(1, Math.ceil(sequences.length / SCREEN_SEQUENCES));
  const used = sequences.filter((_, i) => i % every === 0);
  const { tensors } = await calibrateScreen(model.readWeights({ screen: false }), used);
  writeAtomically(
    join(folder, SCREEN_FILE),
    encodeWeights(new Map([...tensors, screenOf(model.weightsHash)])),
  );
}
