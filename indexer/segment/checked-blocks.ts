import { corrupt } from '../format/errors.ts';

/** What a part of a segment says of its blocks of documents. */
export interface BlockChecksums {
  /** Documents per block. */
  readonly blockDocs: number;
  /** By block. */
  readonly stored: Uint32Array;
  /** The checksum of a block's bytes as they are now. */
  readonly compute: (block: number) => number;
  /** What the part holds, for the message: 'the vectors'. */
  readonly contents: string;
  readonly place: string;
}

/** Verifies each block of a part when it is first used. */
export class CheckedBlocks {
  /** By block: 1 when its checksum was verified. */
  readonly checked: Uint8Array;
  private readonly checksums: BlockChecksums;

  /** @param alreadyChecked {@link checked} of an earlier opening of the same bytes */
  constructor(checksums: BlockChecksums, alreadyChecked: Uint8Array | undefined) {
    this.checksums = checksums;
    this.checked = alreadyChecked ?? new Uint8Array(checksums.stored.length);
  }

  /** @throws WinnowError WINNOW_INDEX_CORRUPT */
  verifyAll(): void {
    for (let block = 0; block < this.checked.length; block++) this.verify(block);
  }

  /** Verifies the block of a document. @throws WinnowError WINNOW_INDEX_CORRUPT */
  verifyDocument(docId: number): void {
    this.verify(Math.floor(docId / this.checksums.blockDocs));
  }

  private verify(block: number): void {
    if (this.checked[block]) return;
    const { compute, stored, contents, place } = this.checksums;
    if (compute(block) !== stored[block])
      throw corrupt(`${place}, block ${block}`, `checksum mismatch in ${contents}`);
    this.checked[block] = 1;
  }
}
