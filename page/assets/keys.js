import { dialog, h, isTyping } from './dom.js';

const KEYS = /** @type {const} */ ([
  ['/', 'Type a query'],
  ['↓ ↑', 'To the next hit, to the one before'],
  ['Enter', 'From the query to the best hit; on a hit: open the document'],
  ['w', 'Why the hit has its place'],
  ['c', 'Compare the modes side by side'],
  ['Escape', 'Close what is open; then back to the query, then clear it'],
  ['?', 'This help'],
]);

export const showHelp = () =>
  dialog(
    { title: 'Keys', class: 'help' },
    h(
      'dl',
      { class: 'keys' },
      ...KEYS.map(([key, text]) => h('div', {}, h('dt', {}, h('kbd', {}, key)), h('dd', {}, text))),
    ),
  );

/**
 * Keys of the search view. Dialogs have their own, and a key with Ctrl, Alt or Meta is the browser's.
 *
 * @param {{ search: () => void, compare: () => void }} actions `search` shows the search view with its input
 */
export function listenToKeys(actions) {
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || document.querySelector('dialog[open]')) return;
    const input = /** @type {HTMLInputElement | null} */ (document.getElementById('query'));
    if (event.target === input && input) return inQuery(event, input);
    if (isTyping(event.target)) return;
    if (event.key === '/') {
      event.preventDefault();
      actions.search();
    } else if (event.key === '?') showHelp();
    else if (event.key === 'c') actions.compare();
    else onHits(event, input);
  });
}

const titles = () => [.../** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll('.hit a.title'))];

/** @param {KeyboardEvent} event @param {HTMLInputElement} input */
function inQuery(event, input) {
  if (event.key === 'ArrowDown') {
    event.preventDefault();
    titles()[0]?.focus();
  } else if (event.key === 'Escape' && input.value !== '') {
    event.preventDefault();
    input.value = '';
    input.dispatchEvent(new Event('input'));
  }
}

/** @param {KeyboardEvent} event @param {HTMLInputElement | null} input */
function onHits(event, input) {
  const target = /** @type {HTMLElement} */ (event.target);
  const all = titles();
  const at = all.findIndex((title) => title === target || title.closest('.hit')?.contains(target));
  if (event.key === 'Escape') {
    const open = target.closest('.hit')?.querySelector('.why-button[aria-expanded="true"]');
    if (open instanceof HTMLElement) open.click();
    else input?.focus();
  } else if (at >= 0 && (event.key === 'ArrowDown' || event.key === 'ArrowUp')) {
    event.preventDefault();
    const next = all[at + (event.key === 'ArrowDown' ? 1 : -1)];
    if (next) next.focus();
    else if (event.key === 'ArrowUp') input?.focus();
  } else if (at >= 0 && event.key === 'w') {
    const button = all[at]?.closest('.hit')?.querySelector('.why-button');
    if (button instanceof HTMLElement) button.click();
  }
}
