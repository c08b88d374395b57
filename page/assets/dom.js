/** @typedef {Node | string | number | false | null | undefined} Child */

/**
 * An element with properties, listeners (`onclick`), attributes (`aria-…`, `data-…`, `for`) and children. Texts are always texts: nothing
 * that a document holds becomes markup.
 *
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, unknown>} [properties] undefined and false attributes are left out
 * @param {...(Child | readonly Child[])} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === false || value === null) continue;
    if (name.startsWith('on') && typeof value === 'function')
      element.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
    else if (name === 'class') element.className = String(value);
    else if (name.includes('-') || !(name in element) || name === 'list')
      element.setAttribute(name, value === true ? '' : String(value));
    else Reflect.set(element, name, value);
  }
  element.append(...children.flat().flatMap(asNode));
  return element;
}

/** @param {Child} child @returns {(Node | string)[]} */
function asNode(child) {
  if (child === false || child === null || child === undefined) return [];
  return [child instanceof Node ? child : String(child)];
}

/**
 * A bar whose length is a share of its track. Style attributes are forbidden here, but properties of a style are not.
 *
 * @param {number} share 0..1
 * @param {string} kind class of the bar
 */
export function bar(share, kind) {
  const fill = h('span', { class: `fill ${kind}` });
  fill.style.inlineSize = `${(Math.max(0, Math.min(1, share)) * 100).toFixed(1)}%`;
  return h('span', { class: 'track', 'aria-hidden': 'true' }, fill);
}

/**
 * Says something to screen readers.
 *
 * @param {string} text
 */
export function announce(text) {
  const status = /** @type {HTMLElement} */ (document.getElementById('status'));
  if (status.textContent !== text) status.textContent = text;
}

/** @param {EventTarget | null} target whether keys that are typed there are text */
export function isTyping(target) {
  if (!(target instanceof HTMLElement)) return false;
  if (target instanceof HTMLInputElement)
    return !['checkbox', 'radio', 'button', 'file'].includes(target.type);
  return target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement;
}

/**
 * A modal dialog that takes itself away when it is closed. The focus goes back to where it was.
 *
 * @param {{ title: string, class?: string, onclose?: () => void }} options
 * @param {...Child} content
 */
export function dialog({ title, class: kind = '', onclose }, ...content) {
  const before = document.activeElement;
  const id = `dialog-${kind || 'plain'}-title`;
  const element = h(
    'dialog',
    { class: kind, 'aria-labelledby': id },
    h(
      'div',
      { class: 'dialog-head' },
      h('h2', { id }, title),
      h(
        'button',
        { type: 'button', class: 'quiet', 'aria-label': 'Close', onclick: () => element.close() },
        '✕',
      ),
    ),
    ...content,
  );
  element.addEventListener('click', (event) => {
    if (event.target === element) element.close(); // outside of it
  });
  element.addEventListener('close', () => {
    // The browser has given the focus back, and a key may have moved it on since: this event comes later than the closing.
    const isLost = document.activeElement === document.body || element.contains(document.activeElement);
    element.remove();
    if (isLost && before instanceof HTMLElement && before.isConnected) before.focus();
    onclose?.();
  });
  document.body.append(element);
  element.showModal();
  return element;
}
