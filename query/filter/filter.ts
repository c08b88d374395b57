import { WinnowError } from '../../errors.ts';
import { bitmapFor, setBit } from '../../indexer/format/bitmap.ts';
import type { FieldValues, FilterColumn } from '../../indexer/segment/filter-columns.ts';
import type { Segment } from '../../indexer/segment/segment.ts';
import type { FilterField } from '../../indexer/types.ts';
import type { Deadline } from '../deadline.ts';
import { FILTER_LIMITS } from '../limits.ts';
import type { Filter } from '../request.ts';
import { complement } from '../retrieve/accept-bits.ts';
import { JOIN_HINT, type ParsedFilter, parseFilter, type ValueTest } from './parse-filter.ts';

/** The bitmap of matching documents of a segment (bit set = match); undefined when the deadline passed first. */
export type Predicate = (segment: Segment, deadline: Deadline) => Uint8Array | undefined;

/**
 * Checks a filter against the declared fields and compiles it. Every condition is tested on every document, so their product is
 * limited ({@link FILTER_LIMITS}). The length of a list of values makes no difference.
 *
 * @throws WinnowError WINNOW_FILTER_FIELD for an undeclared field, WINNOW_BAD_ARGUMENT for a malformed or too large filter
 */
export function compileFilter(filter: Filter, { manifest, segments }: FilteredIndex): Predicate {
  const { parsed, conditions } = parseFilter(filter, manifest.settings.filterFields);
  const numDocs = segments.reduce((sum, { segment }) => sum + segment.numDocs, 0);
  const tests = conditions * numDocs;
  if (tests > FILTER_LIMITS.tests)
    throw new WinnowError(
      'WINNOW_BAD_ARGUMENT',
      `${conditions} conditions on ${numDocs} documents are ${tests} tests, at most ${FILTER_LIMITS.tests} are allowed`,
      { place: 'filter', hint: JOIN_HINT },
    );
  return predicate(parsed);
}

/** The part of a `IndexView` that a filter is compiled for. */
interface FilteredIndex {
  readonly manifest: { readonly settings: { readonly filterFields: readonly FilterField[] } };
  readonly segments: readonly { readonly segment: { readonly numDocs: number } }[];
}

function predicate(filter: ParsedFilter): Predicate {
  switch (filter.kind) {
    case 'and':
      return combine(filter.parts.map(predicate), (a, b) => a & b);
    case 'or':
      return combine(filter.parts.map(predicate), (a, b) => a | b);
    case 'not': {
      const inner = predicate(filter.part);
      return (segment, deadline) => {
        const bitmap = inner(segment, deadline);
        return bitmap && complement(bitmap, segment.numDocs);
      };
    }
    case 'field': {
      const { index, tests } = filter;
      const test = (values: FieldValues) => tests.every((one) => holds(one, values));
      return (segment, deadline) =>
        columnBitmap(segment.filterColumn(index), segment.numDocs, test, deadline);
    }
  }
}

/** Tests the values of one document, as decoded from the column. */
type ValuesTest = (values: FieldValues) => boolean;

function holds(test: ValueTest, values: FieldValues): boolean {
  switch (test.kind) {
    case 'in':
      return values.some((one) => test.values.has(one));
    case 'gt':
      return values.some((one) => one > test.bound);
    case 'gte':
      return values.some((one) => one >= test.bound);
    case 'lt':
      return values.some((one) => one < test.bound);
    case 'lte':
      return values.some((one) => one <= test.bound);
    case 'exists':
      return values.length > 0 === test.exists;
  }
}

/** Documents tested between two checks of the deadline. */
const TESTED_STEP = 8192;

/** Bitmap of the documents whose values pass. Documents with a single string value share one test per dictionary entry. */
function columnBitmap(
  { offsets, values, dictionary }: FilterColumn,
  numDocs: number,
  test: ValuesTest,
  deadline: Deadline,
): Uint8Array | undefined {
  const bitmap = bitmapFor(numDocs);
  const none = test([]);
  const verdicts =
    dictionary && Uint8Array.from({ length: dictionary.length }, (_, i) => Number(test([dictionary.get(i)])));
  for (let docId = 0; docId < numDocs; docId++) {
    if (docId % TESTED_STEP === 0 && deadline.isPast) return undefined;
    const from = offsets[docId]!;
    const to = offsets[docId + 1]!;
    let passes: boolean;
    if (from === to) passes = none;
    else if (to === from + 1) passes = verdicts ? verdicts[values[from]!] === 1 : test([values[from]!]);
    else passes = test(Array.from(values.subarray(from, to), (value) => dictionary?.get(value) ?? value));
    if (passes) setBit(bitmap, docId);
  }
  return bitmap;
}

function combine(predicates: readonly Predicate[], join: (a: number, b: number) => number): Predicate {
  return (segment, deadline) => {
    let joined: Uint8Array | undefined;
    for (const predicate of predicates) {
      const bitmap = predicate(segment, deadline);
      if (!bitmap) return undefined;
      if (!joined) joined = bitmap;
      else for (let i = 0; i < joined.length; i++) joined[i] = join(joined[i]!, bitmap[i]!);
    }
    return joined;
  };
}
