/*
 * Moments in time follow one rule in documents and in filters. Nothing depends on the time zone of the machine, and nothing is
 * guessed: the meaning of a number is declared with the field.
 */

/** Field types whose values are moments; stored as milliseconds since 1970 UTC. */
export type MomentType = 'date' | 'epoch-s' | 'epoch-ms';

/** The range of JavaScript's Date: 100,000,000 days before and after 1970. */
const MAX_MS = 8.64e15;

const ISO_FORMS =
  'an ISO 8601 day such as 2024-02-29, or an RFC 3339 time with its zone such as 2024-02-29T12:00:00Z';

/** The accepted forms of each type, for messages. */
export const MOMENT_FORMS: Readonly<Record<MomentType | 'year', string>> = {
  date: ISO_FORMS,
  year: 'a year of four digits such as 2024',
  'epoch-s': `seconds since 1970, ${ISO_FORMS}`,
  'epoch-ms': `milliseconds since 1970, ${ISO_FORMS}`,
};

const MOMENT =
  /^(\d{4})-(\d{2})-(\d{2})(?:[Tt](\d{2}):(\d{2}):(\d{2})(?:\.(\d+))?(?:[Zz]|([+-])(\d{2}):(\d{2})))?$/;

/** Milliseconds since 1970 UTC, truncated to whole ones; undefined when the value has no accepted form or is not a day of the calendar. */
export function parseMoment(type: MomentType, value: unknown): number | undefined {
  if (typeof value === 'string') {
    const moment = parseIso(value);
    if (moment !== undefined || type === 'date' || !/^-?\d+(?:\.\d+)?$/.test(value)) return moment;
    return parseMoment(type, Number(value));
  }
  if (typeof value !== 'number' || type === 'date') return undefined;
  const milliseconds = type === 'epoch-s' ? value * 1000 : value;
  return Math.abs(milliseconds) <= MAX_MS ? Math.trunc(milliseconds) : undefined;
}

/** A year 0..9999, from a number or four digits. */
export function parseYear(value: unknown): number | undefined {
  if (typeof value === 'string') return /^\d{4}$/.test(value) ? Number(value) : undefined;
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 9999
    ? value
    : undefined;
}

/** ISO 8601 of a stored moment; the number itself where an older version stored one outside the range of dates. */
export const showMoment = (milliseconds: number): string | number =>
  Math.abs(milliseconds) <= MAX_MS ? new Date(milliseconds).toISOString() : milliseconds;

function parseIso(text: string): number | undefined {
  const match = MOMENT.exec(text);
  if (!match) return undefined;
  const [year, month, day, hour = 0, minute = 0, second = 0] = match
    .slice(1, 7)
    .map((digits) => (digits === undefined ? undefined : Number(digits))) as [
    number,
    number,
    number,
    ...(number | undefined)[],
  ];
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day); // Date.UTC takes the years 0..99 for 1900..1999
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined;
  const [offsetHours, offsetMinutes] = [Number(match[9] ?? 0), Number(match[10] ?? 0)];
  if (hour > 23 || minute > 59 || second > 59 || offsetHours > 23 || offsetMinutes > 59) return undefined;
  const fraction = Number((match[7] ?? '').padEnd(3, '0').slice(0, 3));
  const offset = (match[8] === '-' ? -1 : 1) * (offsetHours * 60 + offsetMinutes);
  return date.getTime() + ((hour * 60 + minute - offset) * 60 + second) * 1000 + fraction;
}
