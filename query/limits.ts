/** How large filters may be. */
export const FILTER_LIMITS = {
  /** Levels of nesting. */
  depth: 16,
  /** Conditions on fields. */
  conditions: 1024,
  /** Values of all lists together. */
  values: 65_536,
  /** Conditions times documents of the index. */
  tests: 2 ** 28,
} as const;

/** Phrases and exclusions per query. */
export const MAX_TEXT_CONDITIONS = 64;

/** Tokens of a query given as a vector. */
export const MAX_VECTOR_TOKENS = 1024;

/** Stored texts that one search reads to decide about phrases. Candidates beyond them are not found, and `complete` is false. */
export const MAX_TEXTS_READ = 10_000;
