/** Version of everything that FORMAT.md describes, and of what is written. Versions that are not {@link isReadable} are rejected. */
export const FORMAT_VERSION = 5;

/** Versions that are read as they are: format 4 lacks nothing but dense vectors. The next write makes it the newest. */
const READABLE: readonly number[] = [4, FORMAT_VERSION];

/** Whether a reader of a version reads what another wrote. */
export const isReadable = (written: number, reader = FORMAT_VERSION): boolean =>
  written === reader || (reader === FORMAT_VERSION && READABLE.includes(written));

/** Older versions that `winnow upgrade` reads. */
export const UPGRADABLE: readonly number[] = [2, 3];

/**
 * A list with at least `numDocs * DENSE_FRACTION` postings is stored as one byte per document: scanning such a column took 2.7
 * to 3.3 times less time than scanning the list.
 */
export const DENSE_FRACTION = 0.1;

/** Type of a filterable metadata field. Stored on disk: do not renumber. */
export const FilterType = {
  string: 0,
  number: 1,
  boolean: 2,
  date: 3,
  year: 4,
  'epoch-s': 5,
  'epoch-ms': 6,
} as const;
export type FilterTypeName = keyof typeof FilterType;

/** Largest impact: weights are stored as `round(weight / impactScale)` in 1..255. */
export const MAX_IMPACT = 255;

/** lmdb-js returns values from this size on as views of the memory map, smaller ones in a shared buffer. */
export const ZERO_COPY_BYTES = 16 * 1024 * 1024;
