import { WinnowError } from '../../errors.ts';
import type { IndexSettings } from '../types.ts';

/** @throws WinnowError WINNOW_INDEX_MISMATCH naming the first setting that differs */
export function requireSameSettings(existing: IndexSettings, wanted: IndexSettings, folder: string): void {
  const differing = (['modelName', 'modelHash', 'impactScale'] as const).find((key) =>
    key === 'impactScale'
      ? Math.fround(existing[key]) !== Math.fround(wanted[key]) // the manifest stores an f32
      : existing[key] !== wanted[key],
  );
  const fields = (settings: IndexSettings) =>
    JSON.stringify(settings.filterFields.map(({ name, type }) => `${name}:${type}`).sort());
  const what =
    differing ??
    (fields(existing) !== fields(wanted)
      ? 'filterFields'
      : existing.vectorSize !== wanted.vectorSize
        ? 'vectorSize'
        : undefined);
  if (!what) return;
  throw new WinnowError(
    'WINNOW_INDEX_MISMATCH',
    `the index was built with ${what} ${shown(existing[what])}, this run has ${shown(wanted[what])}`,
    {
      place: folder,
      hint: what.startsWith('model')
        ? `name its model, or change it: winnow reencode --index ${folder} --model MODEL`
        : 'use the same model and options, or index into a new folder',
    },
  );
}

const shown = (value: unknown): string => (value === undefined ? 'none' : JSON.stringify(value));
