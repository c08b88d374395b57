import type { PostingArrays } from './posting-block.ts';

/** Rows of documents: row d has the entries `rowOffsets[d] .. rowOffsets[d + 1]` of `columnIds` and `values`. */
export interface PostingRows {
  readonly rowOffsets: Uint32Array;
  readonly columnIds: Uint16Array | Uint32Array;
  /** 1..255 */
  readonly values: Uint8Array;
}

/** Where the postings of rows go. */
export interface PostingDestination {
  /** By posting of the sparse lists: docId modulo 65,536. */
  readonly localIds: Uint16Array;
  readonly values: Uint8Array;
  /** One byte for a document of each dense list. */
  readonly columns: Uint8Array;
  readonly columnStride: number;
}

/** Posting lists whose k-th largest values and checksums are wanted. */
export interface SummarizedLists {
  readonly block: PostingArrays;
  /** By list: its postings. */
  readonly frequencies: Uint32Array;
  /** Ascending. */
  readonly ranks: Uint32Array;
}
