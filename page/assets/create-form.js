import { call } from './api.js';
import { h } from './dom.js';
import { errorBox } from './messages.js';

/** @typedef {import('./context.js').Context} Context */

const TYPES = ['string', 'number', 'boolean', 'date', 'year', 'epoch-s', 'epoch-ms'];

/** Creates a collection. A server that has one index only answers with the reason. */
export class CreateForm {
  constructor() {
    /** @type {Context | undefined} */
    this.context = undefined;
    this.name = h('input', {
      id: 'new-name',
      type: 'text',
      required: true,
      maxLength: 63,
      pattern: '[a-z0-9_\\-]+',
      title: 'a-z, 0-9, _ and -',
      autocomplete: 'off',
    });
    this.description = h('input', { id: 'new-description', type: 'text', maxLength: 1000 });
    this.words = h('input', { id: 'new-words', type: 'checkbox' });
    this.fields = h('div', { class: 'field-rows' });
    this.outcome = h('div', { 'aria-live': 'polite' });
    const form = h(
      'form',
      { class: 'create', onsubmit: (/** @type {Event} */ event) => this.submit(event) },
      h('label', { for: 'new-name' }, 'Name'),
      this.name,
      h('label', { for: 'new-description' }, 'Description'),
      this.description,
      h('label', { class: 'value' }, this.words, 'Words alone (BM25): quick to add, without the model'),
      h(
        'p',
        { class: 'small soft' },
        'Fields of the documents that filters, order and facets may use. They cannot be changed later.',
      ),
      this.fields,
      h('button', { type: 'button', class: 'quiet', onclick: () => this.addField() }, 'Add a field'),
      h('button', { type: 'submit', class: 'primary' }, 'Create'),
      this.outcome,
    );
    this.element = h('details', { class: 'create-fold' }, h('summary', {}, 'New collection'), form);
  }

  /** @param {Context} context */
  show(context) {
    this.context = context;
    if (context.collections.length === 0) this.element.open = true;
  }

  addField() {
    const row = h(
      'div',
      { class: 'field-row' },
      h('input', { type: 'text', 'aria-label': 'Name of the field', required: true, maxLength: 256 }),
      h('select', { 'aria-label': 'Type of the field' }, ...TYPES.map((type) => h('option', {}, type))),
      h(
        'button',
        { type: 'button', class: 'quiet', 'aria-label': 'Remove the field', onclick: () => row.remove() },
        '✕',
      ),
    );
    this.fields.append(row);
    row.querySelector('input')?.focus();
  }

  /** @param {Event} event */
  async submit(event) {
    event.preventDefault();
    const fields = [...this.fields.children].map((row) => ({
      name: row.querySelector('input')?.value ?? '',
      type: row.querySelector('select')?.value ?? 'string',
    }));
    const description = this.description.value.trim();
    this.outcome.replaceChildren();
    try {
      const { name } = await call('POST', '/v1/collections', {
        name: this.name.value,
        fields,
        ...(description ? { description } : {}),
        ...(this.words.checked ? { model: null } : {}),
      });
      this.name.value = this.description.value = '';
      this.fields.replaceChildren();
      this.element.open = false;
      await this.context?.reload({ collection: name });
    } catch (error) {
      this.outcome.replaceChildren(errorBox(error));
    }
  }
}
