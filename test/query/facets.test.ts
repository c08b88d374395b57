import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { FieldValues } from '../../indexer/segment/filter-columns.ts';
import { decodeColumn, encodeColumn } from '../../indexer/segment/filter-columns.ts';
import type { FilterField } from '../../indexer/types.ts';
import { ColumnCounts } from '../../query/filter/column-counts.ts';
import { countValues, mostFrequent } from '../../query/filter/fields.ts';
import { check } from '../helpers/property.ts';

const test = suite('facets');

// UTF-16 and UTF-8 order the last two differently.
const TEXTS = ['', 'a', 'A', 'é', '10', '9', '__proto__', '\u{1f600}', '\uffee'];
const text = fc.oneof(
  fc.constantFrom(...TEXTS),
  fc.nat(300).map((n) => `v${n}`),
);
const number = fc.oneof(fc.constantFrom(0, -1.5, 2000, 1e300), fc.nat(400));

/** Documents of several segments: their values, repeated ones and long rows among them. */
const rows = (value: fc.Arbitrary<string | number>) =>
  fc.array(
    fc.array(
      fc.oneof(
        { weight: 9, arbitrary: fc.array(value, { maxLength: 3 }) },
        { weight: 1, arbitrary: fc.array(value, { minLength: 9, maxLength: 20 }) },
      ),
      { minLength: 1, maxLength: 200 },
    ),
    { minLength: 1, maxLength: 3 },
  );

function segmentOf(field: FilterField, values: readonly FieldValues[]) {
  const column = decodeColumn(field, encodeColumn(field, values), 'test');
  return { filterColumn: () => column };
}

for (const [type, value] of [
  ['string', text],
  ['number', number],
] as const)
  test(`of type ${type} are counted as by the values of each document, again and again`, async () => {
    await check(
      fc.property(rows(value), fc.array(fc.nat(), { maxLength: 300 }), (segments, picks) => {
        const field: FilterField = { name: 'f', type };
        const views = segments.map((values) => ({ values, segment: segmentOf(field, values) }));
        const docs = [...new Set(picks)].map((pick) => {
          const view = views[pick % views.length]!;
          return { view, docId: Math.floor(pick / views.length) % view.values.length };
        });
        const expected = countValues(docs, ({ view, docId }) => view.values[docId]!);
        for (let time = 0; time < 2; time++) {
          const found = new ColumnCounts(docs).of(0);
          assert.equal([...found].sort(), [...expected].sort());
        }
        const sorted = [...expected].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
        assert.equal(
          mostFrequent(expected, field),
          sorted.slice(0, 100).map(([value, count]) => ({ value, count })),
        );
      }),
      { numRuns: 150 },
    );
  });

test.run();
