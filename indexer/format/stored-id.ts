/*
 * A stored id names a document in segments and rankings. For a whole document it is the user's id; for a passage it is the id of its
 * source, NUL, the number of digits of its ordinal, and the ordinal. User ids do not contain NUL, so no id can be mistaken for a
 * passage. Sorted stored ids have the passages of a source in their order.
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

/** For messages and exports: `guide`, or `guide#3` for a passage. Not unique: two documents may share it. */
export const displayId = ({ id, passage }: PassageRef): string =>
  passage === undefined ? id : `${id}#${passage}`;
