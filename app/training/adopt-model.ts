import { existsSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { syncFolder } from '../../durable-files.ts';
import { requireReplaceable } from '../../encoder/training/output/model-files.ts';

/** Where the model that is replaced waits until the new one has its name. */
const replacedName = (target: string): string => join(dirname(target), `.${basename(target)}.replaced`);

/**
 * Puts a model folder into the place of another. A process that is killed in between leaves the old model under a name beside, which
 * {@link recoverModel} brings back.
 *
 * @throws WinnowError WINNOW_ALREADY_EXISTS as {@link requireReplaceable} does
 */
export function adoptModel(candidate: string, target: string): void {
  recoverModel(target);
  requireReplaceable(target);
  const replaced = replacedName(target);
  rmSync(replaced, { recursive: true, force: true });
  if (existsSync(target)) renameSync(target, replaced);
  renameSync(candidate, target);
  syncFolder(dirname(target));
  rmSync(replaced, { recursive: true, force: true });
}

/** Brings back a model whose replacement was cut off before the new one had its name. */
export function recoverModel(target: string): void {
  const replaced = replacedName(target);
  if (existsSync(replaced) && !existsSync(target)) renameSync(replaced, target);
}
