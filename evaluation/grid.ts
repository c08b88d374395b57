import { badArgument, check } from '../query/check-value.ts';

/** One value of a system's setting. */
export type Setting = string | number | boolean;

/** A system of the grid with one value per setting. */
export interface SystemSpec {
  /** Unique: the name given, or the kind, and the settings that vary, e.g. `sparse alpha=0.9`. */
  readonly name: string;
  /** What to build, e.g. `sparse`, `bm25`, `hybrid`, or `run` for an imported TREC run. */
  readonly kind: string;
  readonly settings: Readonly<Record<string, Setting>>;
}

/** More systems than this are a mistake in a list of settings. */
export const MAX_SYSTEMS = 200;

const TEXT = { type: 'string', minLength: 1 } as const;

/**
 * One system for each combination of the listed settings, in the order of nested loops: `terms: [100, 200]` with
 * `alpha: [1, 0.9]` makes four.
 *
 * @param entry a kind, or kind, name and settings
 * @param place where the entry stands, for messages
 * @throws WinnowError WINNOW_BAD_ARGUMENT
 */
export function expandSystem(entry: unknown, place: string): SystemSpec[] {
  if (typeof entry === 'string') return [{ name: entry, kind: entry, settings: {} }];
  check(entry, { type: 'object' }, place);
  const { kind, name, ...settings } = entry as Record<string, unknown>;
  check(kind, TEXT, `${place}.kind`);
  if (name !== undefined) check(name, TEXT, `${place}.name`);
  let combinations: Record<string, Setting>[] = [{}];
  const varying: string[] = [];
  for (const [setting, value] of Object.entries(settings)) {
    const values = settingValues(value, `${place}.${setting}`);
    if (values.length > 1) varying.push(setting);
    combinations = combinations.flatMap((chosen) => values.map((one) => ({ ...chosen, [setting]: one })));
    if (combinations.length > MAX_SYSTEMS)
      throw badArgument(place, `makes more than ${MAX_SYSTEMS} systems`, 'shorten a list of settings');
  }
  return combinations.map((chosen) => ({
    name: [name ?? kind, ...varying.map((setting) => `${setting}=${chosen[setting]}`)].join(' '),
    kind: kind as string,
    settings: chosen,
  }));
}

function settingValues(value: unknown, place: string): readonly Setting[] {
  if (Array.isArray(value)) check(value, { type: 'array', minItems: 1 }, place);
  const values: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (!values.every((one) => ['string', 'number', 'boolean'].includes(typeof one)))
    throw badArgument(place, 'must be text, a number, true or false, or a list of them');
  return values as readonly Setting[];
}
