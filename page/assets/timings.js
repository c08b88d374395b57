/**
 * Searches of this session, for the statistics. They are kept in the tab alone.
 *
 * @typedef {{ way: string, tookUs: number, encodeUs: number, searchUs: number, rerankUs: number, hydrateUs: number }} Timing
 */

const NAME = 'winnow-timings';
const KEPT = 300;

/** @returns {Timing[]} oldest first */
export function timings() {
  try {
    const stored = JSON.parse(sessionStorage.getItem(NAME) ?? '[]');
    return Array.isArray(stored) ? stored : [];
  } catch {
    return [];
  }
}

/** @param {string} way @param {import('./api.js').SearchResponse} answer */
export function record(way, { tookUs, timings: { encodeUs, searchUs, rerankUs = 0, hydrateUs } }) {
  const all = [...timings(), { way, tookUs, encodeUs, searchUs, rerankUs, hydrateUs }];
  try {
    sessionStorage.setItem(NAME, JSON.stringify(all.slice(-KEPT)));
  } catch {
    // A full storage loses statistics, not searches.
  }
}
