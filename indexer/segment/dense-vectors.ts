import { viewU32 } from '../format/bytes.ts';
import { checksum } from '../format/checksum.ts';
import { corrupt } from '../format/errors.ts';
import { allocateSections, unpackSections } from '../format/sections.ts';
import type { DenseVector } from '../types.ts';
import { CheckedBlocks } from './checked-blocks.ts';

/** The dense vectors of a segment: number j of document d is `values[d * size + j] * scales[d]`. */
export interface DenseMatrix {
  /** Numbers per vector. */
  readonly size: number;
  /** By document; 0 for a document without a vector. */
  readonly scales: Float32Array;
  readonly values: Int8Array;
}

/** Documents whose vectors share a checksum: reranking a few hits reads a few blocks instead of the part. */
const BLOCK_DOCS = 256;

/** The Dense part of a segment under construction. */
export interface DenseDraft {
  readonly bytes: Uint8Array;
  /** Views into `bytes`. */
  readonly rows: DenseMatrix;
  /** One per block, made by {@link writeDenseChecksums}. */
  readonly checksums: Uint32Array;
  /** Leading bytes that the segment header's checksum covers. */
  readonly directoryBytes: number;
}

/** An empty Dense part; fill in `rows` (FORMAT.md, kind 10). @param size numbers per vector */
export function allocateDense(numDocs: number, size: number): DenseDraft {
  const numBlocks = Math.ceil(numDocs / BLOCK_DOCS);
  const { packed, views } = allocateSections([4, 4 * numDocs, 4 * numBlocks, numDocs * size]);
  const [sizes, scales, checksums, values] = views as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
  viewU32(sizes, 0, 1)[0] = size;
  return {
    bytes: packed,
    rows: {
      size,
      scales: new Float32Array(packed.buffer, scales.byteOffset, numDocs),
      values: new Int8Array(packed.buffer, values.byteOffset, numDocs * size),
    },
    checksums: viewU32(checksums, 0, numBlocks),
    directoryBytes: values.byteOffset,
  };
}

/** The Dense part of some documents. @returns undefined when none has a vector */
export function denseOf(vectors: readonly (DenseVector | undefined)[], size: number): DenseDraft | undefined {
  if (vectors.every((vector) => vector === undefined)) return undefined;
  const draft = allocateDense(vectors.length, size);
  vectors.forEach((vector, docId) => {
    if (!vector) return;
    draft.rows.values.set(vector.values, docId * size);
    draft.rows.scales[docId] = vector.scale;
  });
  return draft;
}

/** Call it when all rows are filled in. */
export function writeDenseChecksums({ rows, checksums }: DenseDraft): void {
  for (let block = 0; block < checksums.length; block++) checksums[block] = blockChecksum(rows, block);
}

function blockChecksum({ values, size }: DenseMatrix, block: number): number {
  const part = values.subarray(block * BLOCK_DOCS * size, (block + 1) * BLOCK_DOCS * size);
  return checksum(new Uint8Array(part.buffer, part.byteOffset, part.length));
}

/** The dense vectors of a segment, checked block by block when first used. */
export class DenseVectors {
  private readonly rows: DenseMatrix;
  private readonly blocks: CheckedBlocks;

  /**
   * @param alreadyChecked {@link checked} of an earlier opening of the same bytes
   * @throws WinnowError WINNOW_INDEX_CORRUPT when the sections do not have the lengths of so many documents
   */
  constructor(bytes: Uint8Array, numDocs: number, place: string, alreadyChecked: Uint8Array | undefined) {
    const [sizes, scales, checksums, values] = unpackSections(bytes, place);
    const numBlocks = Math.ceil(numDocs / BLOCK_DOCS);
    const size = sizes?.length === 4 ? viewU32(sizes, 0, 1)[0]! : -1;
    if (
      scales?.length !== 4 * numDocs ||
      checksums?.length !== 4 * numBlocks ||
      values?.length !== numDocs * size
    )
      throw corrupt(place, 'the dense vectors are not those of the segment');
    const rows = {
      size,
      scales: new Float32Array(scales.buffer, scales.byteOffset, numDocs),
      values: new Int8Array(values.buffer, values.byteOffset, values.length),
    };
    this.rows = rows;
    this.blocks = new CheckedBlocks(
      {
        blockDocs: BLOCK_DOCS,
        stored: viewU32(checksums, 0, numBlocks),
        compute: (block) => blockChecksum(rows, block),
        contents: 'the dense vectors',
        place,
      },
      alreadyChecked,
    );
  }

  /** By block: 1 when its checksum was verified. */
  get checked(): Uint8Array {
    return this.blocks.checked;
  }

  /** All vectors. @throws WinnowError WINNOW_INDEX_CORRUPT */
  all(): DenseMatrix {
    this.blocks.verifyAll();
    return this.rows;
  }

  /** Whether a document has a vector. */
  has(docId: number): boolean {
    return this.rows.scales[docId] !== 0;
  }

  /** The vector of a document, a view; undefined when it has none. @throws WinnowError WINNOW_INDEX_CORRUPT */
  vector(docId: number): DenseVector | undefined {
    if (!this.has(docId)) return undefined;
    this.blocks.verifyDocument(docId);
    const { size, scales, values } = this.rows;
    return { values: values.subarray(docId * size, (docId + 1) * size), scale: scales[docId]! };
  }
}
