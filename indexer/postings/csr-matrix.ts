import type { PostingRows } from '../../kernels/search/inversion-types.ts';

/** A sparse matrix by rows (compressed sparse row). Rows are documents; columns are WordPiece ids or numbers of words. */
export type CsrMatrix = PostingRows;
