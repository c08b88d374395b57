import { h } from './dom.js';
import { count } from './format.js';
import { isEmpty } from './state.js';

/**
 * @typedef {import('./context.js').Context} Context
 * @typedef {{ value: string | number | boolean, count: number }} FacetCount
 * @typedef {Readonly<Record<string, readonly FacetCount[]>>} Facets
 */

const VALUES_SHOWN = 8;

/** @param {string} type whether its values are listed; others have a range */
export const isListed = (type) => type === 'string' || type === 'boolean';

/** @param {string} type whether its values are days */
const isDay = (type) => type === 'date' || type.startsWith('epoch');

/** Filters of a collection's declared fields. Fields whose values are all shown stay so while their counts change. */
export class FilterPanel {
  constructor() {
    this.element = h('aside', { class: 'filters', 'aria-label': 'Filters' });
    /** @type {Set<string>} */
    this.unfolded = new Set();
    /** @type {Facets} */
    this.facets = {};
  }

  /** @param {Context} context @param {Facets} facets */
  show(context, facets) {
    this.facets = facets;
    const fields = context.info?.fields ?? [];
    this.element.hidden = fields.length === 0;
    const active = Object.values(context.state.filters).filter((one) => !isEmpty(one)).length;
    // Focus and fold survive, because a click on a value draws the panel anew.
    const focused = this.element.contains(document.activeElement) ? document.activeElement?.id : undefined;
    const isOpen = this.element.querySelector('details')?.open ?? matchMedia('(min-width: 60rem)').matches;
    this.element.replaceChildren(
      h(
        'details',
        { class: 'filter-fold', open: isOpen },
        h('summary', {}, active > 0 ? `Filters (${active} set)` : 'Filters'),
        active > 0 &&
          h(
            'button',
            { type: 'button', class: 'quiet', onclick: () => context.go({ filters: {}, page: 1 }) },
            'Clear all',
          ),
        ...fields.map((field, i) =>
          isListed(field.type)
            ? this.values(context, field.name, facets[field.name] ?? [], i)
            : range(context, field, i),
        ),
      ),
    );
    if (focused) document.getElementById(focused)?.focus();
  }

  /** @param {Context} context @param {string} name @param {readonly FacetCount[]} counts @param {number} i place of the field */
  values(context, name, counts, i) {
    const chosen = context.state.filters[name]?.values ?? [];
    const listed = [
      ...counts,
      ...chosen
        .filter((one) => !counts.some(({ value }) => value === one))
        .map((value) => ({ value, count: 0 })),
    ];
    const isFolded = !this.unfolded.has(name) && listed.length > VALUES_SHOWN + 2;
    const shown = isFolded
      ? listed.filter(({ value }, at) => at < VALUES_SHOWN || chosen.includes(/** @type {string} */ (value)))
      : listed;
    return h(
      'fieldset',
      {},
      h('legend', {}, name),
      listed.length === 0 && h('p', { class: 'small soft' }, 'No values among these hits'),
      ...shown.map((one, at) => valueBox(context, { name, chosen, id: `f-${i}-${at}` }, one)),
      isFolded &&
        h(
          'button',
          {
            type: 'button',
            class: 'quiet',
            onclick: () => {
              this.unfolded.add(name);
              this.show(context, this.facets);
            },
          },
          `Show all ${listed.length}`,
        ),
    );
  }
}

/**
 * @param {Context} context
 * @param {{ name: string, chosen: readonly (string | boolean)[], id: string }} field
 * @param {FacetCount} one
 */
function valueBox(context, { name, chosen, id }, { value, count: documents }) {
  const known = /** @type {string | boolean} */ (value);
  return h(
    'label',
    { class: 'value' },
    h('input', {
      type: 'checkbox',
      id,
      checked: chosen.includes(known),
      onchange: (/** @type {Event} */ { target }) => {
        const { checked } = /** @type {HTMLInputElement} */ (target);
        const values = checked ? [...chosen, known] : chosen.filter((other) => other !== known);
        context.go({ filters: { ...context.state.filters, [name]: { values } }, page: 1 });
      },
    }),
    h('span', { class: 'value-name' }, known === '' ? '(empty)' : String(known)),
    h('span', { class: 'soft number' }, count(documents)),
  );
}

/** @param {Context} context @param {{ name: string, type: string }} field @param {number} i */
function range(context, { name, type }, i) {
  const given = context.state.filters[name] ?? {};
  /** @param {'from' | 'to'} end @param {string} label */
  const input = (end, label) =>
    h(
      'label',
      {},
      h('span', { class: 'small soft' }, label),
      h('input', {
        id: `f-${i}-${end}`,
        type: isDay(type) ? 'date' : 'number',
        step: 'any',
        value: given[end] ?? '',
        'aria-label': `${name} ${label}`,
        onchange: (/** @type {Event} */ { target }) => {
          const { value } = /** @type {HTMLInputElement} */ (target);
          const filters = { ...context.state.filters, [name]: { ...given, [end]: value } };
          context.go({ filters, page: 1 });
        },
      }),
    );
  return h('fieldset', { class: 'range' }, h('legend', {}, name), input('from', 'from'), input('to', 'to'));
}
