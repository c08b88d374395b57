/**
 * A sparse matrix by rows (compressed sparse row). Row r has the entries `rowOffsets[r] .. rowOffsets[r + 1]` of `columnIds` and
 * `values`. Rows are documents; columns are WordPiece ids or numbers of words.
 */
export interface CsrMatrix {
  /** One more than there are rows. */
  readonly rowOffsets: Uint32Array;
  readonly columnIds: Uint16Array | Uint32Array;
  /** 1..255: impacts or term frequencies. */
  readonly values: Uint8Array;
}
