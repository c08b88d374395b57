import type { DocumentEncoderOptions } from '../../encoder/document-encoder.ts';
import type { RerankerOptions } from './reranker-loader.ts';

/** How documents are encoded and written, and hits reranked. */
export type EncodingOptions = DocumentEncoderOptions &
  RerankerOptions & {
    /**
     * Commits of more than a few documents run on a thread of their own, so that searches go on meanwhile: for programs that answer
     * searches while they write. Default false: they run on the calling thread.
     */
    readonly backgroundWrites?: boolean;
  };
