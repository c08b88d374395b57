const whole = new Intl.NumberFormat('en');

/** @param {number} value */
export const count = (value) => whole.format(value);

/** @param {number} value @param {string} one @param {string} [more] */
export const plural = (value, one, more = `${one}s`) => `${count(value)} ${value === 1 ? one : more}`;

/** @param {number} us microseconds */
export function time(us) {
  if (us < 1000) return `${us.toFixed(0)} µs`;
  if (us < 1_000_000) return `${(us / 1000).toFixed(us < 10_000 ? 1 : 0)} ms`;
  return `${(us / 1_000_000).toFixed(1)} s`;
}

/** @param {number} value */
export function bytes(value) {
  const units = ['bytes', 'KB', 'MB', 'GB', 'TB'];
  let unit = 0;
  let size = value;
  for (; size >= 1000 && unit < units.length - 1; unit++) size /= 1000;
  return `${unit === 0 ? size : size.toFixed(size < 10 ? 1 : 0)} ${units[unit]}`;
}

/** @param {unknown} value of metadata */
export const shown = (value) => (typeof value === 'object' ? JSON.stringify(value) : String(value));

/** @param {number} value a score */
export const score = (value) => (Math.abs(value) < 10 ? value.toFixed(2) : value.toFixed(1));
