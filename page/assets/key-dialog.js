import { dialog, h } from './dom.js';

/** @type {Promise<string> | undefined} */
let asking;

/**
 * Asks for a key of the server, once for all requests that wait for it.
 *
 * @param {boolean} rejected whether the server refused the key that it got
 * @returns {Promise<string>}
 */
export function askKey(rejected) {
  asking ??= ask(rejected).finally(() => {
    asking = undefined;
  });
  return asking;
}

/** @param {boolean} rejected @returns {Promise<string>} */
function ask(rejected) {
  return new Promise((resolve) => {
    const input = h('input', {
      id: 'key',
      type: 'password',
      required: true,
      autocomplete: 'off',
      autofocus: true,
    });
    const form = h(
      'form',
      { method: 'dialog' },
      rejected &&
        h(
          'p',
          { class: 'notice', role: 'alert' },
          'The server does not accept this key. It may be wrong, expired or revoked.',
        ),
      h('p', {}, 'This server needs a key. It is kept until this tab is closed.'),
      h('label', { for: 'key' }, 'Key'),
      input,
      h('button', { type: 'submit', class: 'primary' }, 'Continue'),
    );
    const opened = dialog({ title: 'Key', class: 'key' }, form);
    opened.querySelector('.dialog-head button')?.remove();
    opened.addEventListener('cancel', (event) => event.preventDefault()); // without a key there is nothing to show
    opened.addEventListener('close', () => {
      if (input.value.trim()) resolve(input.value.trim());
      else resolve(ask(rejected));
    });
    input.focus();
  });
}
