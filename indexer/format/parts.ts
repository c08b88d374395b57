/** What a part of a segment holds. Stored on disk: do not renumber. */
export const PartKind = {
  Impacts: 1,
  Lexical: 2,
  Forward: 3,
  Documents: 4,
  Terms: 5,
  Words: 6,
  Fields: 7,
  Maxima: 8,
  InText: 9,
  Dense: 10,
} as const;
export type PartKind = (typeof PartKind)[keyof typeof PartKind];

/** Stands in the place of a part kind in the key of a segment's header. Stored on disk. */
export const HEADER_KIND = 0;

/** The kinds of all values of a segment: its header and its parts. */
export const ALL_KINDS: readonly number[] = [HEADER_KIND, ...Object.values(PartKind)];

/** Names of the parts in statistics. Reports select parts by them, so they do not follow renames of {@link PartKind}. */
export const PART_NAMES = {
  [PartKind.Impacts]: 'impacts',
  [PartKind.Lexical]: 'lexical',
  [PartKind.Forward]: 'forward',
  [PartKind.Documents]: 'documents',
  [PartKind.Terms]: 'terms',
  [PartKind.Words]: 'words',
  [PartKind.Fields]: 'fields',
  [PartKind.Maxima]: 'maxima',
  [PartKind.InText]: 'intext',
  [PartKind.Dense]: 'dense',
} as const satisfies Readonly<Record<PartKind, string>>;
export type PartName = (typeof PART_NAMES)[PartKind];

/** How a part is called in error messages and in FORMAT.md. */
export const partLabel = (kind: PartKind): string =>
  Object.entries(PartKind).find(([, known]) => known === kind)?.[0] ?? String(kind);

/** Keys per segment in the database `segments`: the header and up to 15 parts. Stored on disk. */
const KEYS_PER_SEGMENT = 16;

/** Key of a segment's header or part in the database `segments`. */
export const segmentKey = (segment: number, kind: number): number => segment * KEYS_PER_SEGMENT + kind;

/** The segment that a key of the database `segments` belongs to. */
export const segmentOfKey = (key: number): number => Math.floor(key / KEYS_PER_SEGMENT);
