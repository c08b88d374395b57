import { ApiError } from './api.js';
import { h } from './dom.js';
import { shortItem } from './hits.js';
import { errorBox } from './messages.js';
import { timingLine } from './timing-line.js';
import { WAY_NAMES } from './ways.js';

/**
 * The same query in all modes, side by side.
 *
 * @param {import('./context.js').Context} context
 * @param {Awaited<ReturnType<typeof import('./queries.js').compare>>['columns']} columns
 */
export function compareTable(context, columns) {
  const answers = columns.flatMap(({ result }) => (result instanceof ApiError ? [] : [result]));
  const longest = Math.max(...answers.map(({ tookUs }) => tookUs), 1);
  const first = answers[0]?.hits.map(({ id }) => id) ?? [];
  return h(
    'div',
    { class: 'compare' },
    ...columns.map(({ way, result }, i) =>
      h(
        'section',
        { 'aria-label': WAY_NAMES[way] },
        h('h3', {}, WAY_NAMES[way]),
        ...(result instanceof ApiError
          ? [errorBox(result)]
          : [
              timingLine(result, longest),
              result.hits.length === 0
                ? h('p', { class: 'soft' }, 'Nothing found')
                : h(
                    'ol',
                    { class: 'hits' },
                    ...result.hits.map((hit, at) =>
                      shortItem(hit, {
                        rank: at + 1,
                        move: i === 0 ? '' : moved(first.indexOf(hit.id), at),
                        answer: result,
                        context,
                      }),
                    ),
                  ),
            ]),
      ),
    ),
  );
}

/** @param {number} before place in the first column, -1: not there @param {number} now */
function moved(before, now) {
  if (before < 0) return 'new';
  if (before === now) return '';
  return before > now ? `up ${before - now}` : `down ${now - before}`;
}
