import { ApiError } from './api.js';
import { h } from './dom.js';

/**
 * An error with what helps to get out of it and to report it.
 *
 * @param {unknown} error
 * @param {() => void} [retry]
 */
export function errorBox(error, retry) {
  const { code, message, place, hint, requestId } =
    error instanceof ApiError
      ? error.failure
      : {
          code: 'PAGE_ERROR',
          message: String(error instanceof Error ? error.message : error),
          place: undefined,
          hint: undefined,
          requestId: undefined,
        };
  return h(
    'section',
    { class: 'message error', role: 'alert', 'aria-label': 'Error' },
    h('h2', {}, 'That did not work'),
    h('p', {}, message),
    hint && h('p', { class: 'soft' }, `What helps: ${hint}`),
    h(
      'p',
      { class: 'small soft' },
      h('code', {}, code),
      place && ` · ${place}`,
      requestId && [' · request ', h('code', {}, requestId)],
    ),
    retry && h('button', { type: 'button', onclick: retry }, 'Try again'),
  );
}

/**
 * What is shown where there is nothing else.
 *
 * @param {string} title
 * @param {...import('./dom.js').Child} content
 */
export const emptyBox = (title, ...content) =>
  h('section', { class: 'message empty' }, h('h2', {}, title), ...content);

/** Stands for hits that are on their way. */
export const skeleton = () =>
  h(
    'div',
    { class: 'skeleton', 'aria-hidden': 'true' },
    ...[1, 2, 3].map(() => h('div', {}, h('span'), h('span'), h('span'))),
  );
