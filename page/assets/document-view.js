import { storedDocument } from './api.js';
import { dialog, h } from './dom.js';
import { plural, shown } from './format.js';
import { errorBox } from './messages.js';

/** @typedef {import('./context.js').Context} Context */

/** The whole text of a document over the page, while the address names one. */
export class DocumentView {
  constructor() {
    /** @type {HTMLDialogElement | undefined} */
    this.open = undefined;
    this.shown = '';
  }

  /** @param {Context} context */
  show(context) {
    const { doc, collection, query } = context.state;
    const wanted = doc && collection ? JSON.stringify([collection, doc]) : '';
    if (wanted === this.shown) return;
    this.shown = wanted;
    this.open?.close();
    this.open = undefined;
    if (!doc || !wanted) return;
    const body = h(
      'div',
      { class: 'document', tabIndex: 0, role: 'region', 'aria-label': 'Document' },
      h('p', { class: 'soft' }, 'Reading…'),
    );
    const opened = dialog(
      { title: 'Document', class: 'sheet', onclose: () => this.closed(wanted, context) },
      body,
    );
    this.open = opened;
    // A dialog of the browser closes itself by Escape; the address follows.
    const load = async () => {
      try {
        const stored = await storedDocument(collection, doc.id);
        const heading = /** @type {HTMLElement} */ (opened.querySelector('h2'));
        heading.textContent = stored.title || stored.id;
        body.replaceChildren(...content(stored, query, doc.passage));
        body.querySelector('mark')?.scrollIntoView({ block: 'center' });
      } catch (error) {
        body.replaceChildren(errorBox(error, load));
      }
    };
    void load();
  }

  /** @param {string} wanted the document that was shown @param {Context} context */
  closed(wanted, context) {
    if (this.shown !== wanted) return; // the address changed first
    this.shown = '';
    this.open = undefined;
    context.go({ doc: undefined });
  }
}

/** @param {import('./api.js').StoredDocument} stored @param {string} query @param {number | undefined} passage */
function content({ id, text, metadata, passages = [] }, query, passage) {
  const entries = Object.entries(metadata);
  return [
    h(
      'p',
      { class: 'soft small' },
      h('code', {}, id),
      passages.length > 1 &&
        ` · ${plural(passages.length, 'passage')}${passage === undefined ? '' : `, found in passage ${passage + 1}`}`,
    ),
    entries.length > 0 &&
      h(
        'dl',
        { class: 'metadata' },
        ...entries.map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, shown(value)))),
      ),
    h('div', { class: 'text' }, ...marked(text, query)),
  ].filter((one) => one instanceof Node);
}

/** Words of a query of at least this many letters are marked in the whole text. */
const MARKED_LETTERS = 3;

/** @param {string} text @param {string} query */
function marked(text, query) {
  const words = new Set(
    (query.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []).filter((word) => word.length >= MARKED_LETTERS),
  );
  if (words.size === 0) return [text];
  return text
    .split(/([\p{L}\p{N}]+)/u)
    .map((part) => (words.has(part.toLowerCase()) ? h('mark', {}, part) : part));
}
