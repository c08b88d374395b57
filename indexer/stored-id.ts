/*
 * What a segment and a ranking call a document: the user's id for a whole document, and for a passage the id of its source,
 * NUL, the number of digits of its ordinal, and the ordinal. No user id holds NUL, so no id can be taken for a passage, and the
 * passages of a source stand in their order wherever stored ids are sorted.
 */

const SEPARATOR = '\u0000';

/** Names a document by the id of its source, or one passage of it. */
export interface PassageRef {
  /** The id that the source was added under. */
  readonly id: string;
  /** Ordinal of a passage, from 0; absent: the whole source. */
  readonly passage?: number;
}

/** A source by its id, or {@link PassageRef}. */
export type DocumentRef = string | PassageRef;

export const refOf = (ref: DocumentRef): PassageRef => (typeof ref === 'string' ? { id: ref } : ref);

export function storedId(id: string, passage: number | undefined): string {
  if (passage === undefined) return id;
  const digits = String(passage);
  return `${id}${SEPARATOR}${digits.length}${digits}`;
}

export function parseStoredId(stored: string): PassageRef {
  const at = stored.indexOf(SEPARATOR);
  return at < 0 ? { id: stored } : { id: stored.slice(0, at), passage: Number(stored.slice(at + 2)) };
}

/** As people read it in messages and exports: `guide`, or `guide#3` for a passage. Two documents may share it. */
export const displayId = ({ id, passage }: PassageRef): string =>
  passage === undefined ? id : `${id}#${passage}`;
