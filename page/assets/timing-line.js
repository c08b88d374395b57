import { h } from './dom.js';
import { time } from './format.js';

const STAGES = /** @type {const} */ ([
  ['encodeUs', 'encode'],
  ['searchUs', 'search'],
  ['rerankUs', 'rerank'],
  ['hydrateUs', 'snippets'],
]);

/**
 * The time of a search and where it went, as a line and as a bar of its parts.
 *
 * @param {import('./api.js').SearchResponse} answer
 * @param {number} [longest] microseconds that the whole width stands for; default: its own
 */
export function timingLine({ tookUs, timings }, longest = tookUs) {
  const parts = STAGES.flatMap(([name, label]) => {
    const us = timings[name];
    return us === undefined ? [] : [{ name, label, us }];
  });
  return h(
    'div',
    { class: 'timing' },
    h('strong', {}, time(tookUs)),
    h(
      'span',
      { class: 'timing-bar', 'aria-hidden': 'true' },
      ...parts.map(({ name, us }) => {
        const part = h('span', { class: `part ${name}` });
        part.style.inlineSize = `${((us / longest) * 100).toFixed(2)}%`;
        return part;
      }),
    ),
    h(
      'span',
      { class: 'small soft parts' },
      parts.map(({ name, label, us }) =>
        h('span', {}, h('span', { class: `swatch ${name}` }), `${label} ${time(us)} `),
      ),
    ),
  );
}
