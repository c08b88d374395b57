/** Formats that other engines read and write. */
export const INTERCHANGE_FORMATS = ['json-vectors', 'ciff'] as const;
export type InterchangeFormat = (typeof INTERCHANGE_FORMATS)[number];
/** The two kinds of vectors of an index: learned weights, and the words that BM25 counts. */
export const SIDES = ['impacts', 'words'] as const;
export type Side = (typeof SIDES)[number];
