import { bytesOf, viewU16, viewU32 } from '../format/bytes.ts';
import { checksum } from '../format/checksum.ts';
import { allocateSections, unpackSections } from '../format/sections.ts';
import type { CsrMatrix } from '../postings/csr-matrix.ts';
import { CheckedBlocks } from './checked-blocks.ts';

/** The vectors of a segment: row d is document d, columns are WordPiece ids, ascending, values are impacts 1..255. */
export interface ForwardMatrix extends CsrMatrix {
  readonly columnIds: Uint16Array;
}

/** Documents whose vectors share a checksum: the first hit of a search reads one block instead of the part. */
const BLOCK_DOCS = 1024;

/** The Forward part of a segment under construction. */
export interface ForwardDraft {
  readonly bytes: Uint8Array;
  /** Views into `bytes`. */
  readonly rows: ForwardMatrix;
  /** One per block, made by {@link writeForwardChecksums}. */
  readonly checksums: Uint32Array;
  /** Leading bytes that the segment header's checksum covers. */
  readonly directoryBytes: number;
}

/** An empty Forward part of known size; fill in `rows` (FORMAT.md, kind 3). */
export function allocateForward(numDocs: number, numPostings: number): ForwardDraft {
  const numBlocks = Math.ceil(numDocs / BLOCK_DOCS);
  const lengths = [4 * (numDocs + 1), 4 * numBlocks, 2 * numPostings, numPostings];
  const { packed, views } = allocateSections(lengths);
  const [rowOffsets, checksums, columnIds, values] = views as [
    Uint8Array,
    Uint8Array,
    Uint8Array,
    Uint8Array,
  ];
  return {
    bytes: packed,
    rows: {
      rowOffsets: viewU32(rowOffsets, 0, numDocs + 1),
      columnIds: viewU16(columnIds, 0, numPostings),
      values,
    },
    checksums: viewU32(checksums, 0, numBlocks),
    directoryBytes: columnIds.byteOffset,
  };
}

/** Call it when all rows are filled in. */
export function writeForwardChecksums({ rows, checksums }: ForwardDraft): void {
  for (let block = 0; block < checksums.length; block++) checksums[block] = blockChecksum(rows, block);
}

function blockChecksum({ rowOffsets, columnIds, values }: ForwardMatrix, block: number): number {
  const from = rowOffsets[block * BLOCK_DOCS]!;
  const to = rowOffsets[Math.min(rowOffsets.length - 1, (block + 1) * BLOCK_DOCS)]!;
  return (checksum(bytesOf(columnIds.subarray(from, to))) ^ checksum(values.subarray(from, to))) >>> 0;
}

/** The vectors of a segment, checked block by block when first used. */
export class ForwardIndex {
  private readonly rows: ForwardMatrix;
  private readonly blocks: CheckedBlocks;

  /** @param alreadyChecked {@link checked} of an earlier opening of the same bytes */
  constructor(bytes: Uint8Array, numDocs: number, place: string, alreadyChecked: Uint8Array | undefined) {
    const [rowOffsets, checksums, columnIds, values] = unpackSections(bytes, place);
    const rows = {
      rowOffsets: viewU32(rowOffsets!, 0, numDocs + 1),
      columnIds: viewU16(columnIds!, 0, columnIds!.length / 2),
      values: values!,
    };
    this.rows = rows;
    this.blocks = new CheckedBlocks(
      {
        blockDocs: BLOCK_DOCS,
        stored: viewU32(checksums!, 0, Math.ceil(numDocs / BLOCK_DOCS)),
        compute: (block) => blockChecksum(rows, block),
        contents: 'the vectors',
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
  all(): ForwardMatrix {
    this.blocks.verifyAll();
    return this.rows;
  }

  /** The vectors of some documents; other rows are not verified and must not be read. @param docIds ascending */
  ofDocuments(docIds: Uint32Array): ForwardMatrix {
    for (let i = 0; i < docIds.length; i++) this.blocks.verifyDocument(docIds[i]!);
    return this.rows;
  }

  /** As {@link ofDocuments}, for one document. */
  ofDocument(docId: number): ForwardMatrix {
    this.blocks.verifyDocument(docId);
    return this.rows;
  }
}
