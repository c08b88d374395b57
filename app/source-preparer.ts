import { createHash } from 'node:crypto';
import { splitPassages } from '../corpus/passages.ts';
import type { Section } from '../corpus/sections.ts';
import type { CorpusDocument } from '../corpus/types.ts';
import type { SourceDocument } from '../indexer/types.ts';
import type { SearchBackend } from '../query/backend.ts';

/** A document as it was read. */
export interface ReadDocument {
  readonly document: CorpusDocument;
  readonly contentHash: string;
  /** Where it may be cut; default: found in the text. */
  readonly sections?: readonly Section[];
}

/** Cuts documents into passages, and decides whether a stored document is the same and was cut the same way. */
export class SourcePreparer {
  private readonly backend: SearchBackend;
  private readonly passages: boolean;

  /** @param passages cut long texts into passages; otherwise they are cut off at the encoder's window */
  constructor(backend: SearchBackend, passages: boolean) {
    this.backend = backend;
    this.passages = passages;
  }

  /** @param storedHash content hash that the index has for the id */
  async isUnchanged(
    { document, contentHash }: ReadDocument,
    storedHash: string | undefined,
  ): Promise<boolean> {
    if (this.passages) return storedHash === contentHash;
    if (storedHash === uncutHash(contentHash)) return true;
    return storedHash === contentHash && !(await this.isStoredCut(document));
  }

  source({ document, contentHash, sections }: ReadDocument): SourceDocument {
    const cut = splitPassages(document, this.backend.window, sections);
    if (this.passages || cut.length === 1) return { id: document.id, contentHash, documents: cut };
    return { id: document.id, contentHash: uncutHash(contentHash), documents: [document] };
  }

  private async isStoredCut({ id, title, text }: CorpusDocument): Promise<boolean> {
    // A token has at least one character, so a text this short was never cut.
    if (title.length + text.length <= this.backend.window.maxTokens) return false;
    const stored = await this.backend.get(id);
    return stored !== undefined && 'passages' in stored;
  }
}

/** The content hash that is stored for a document that passages would have cut and that was not cut. */
function uncutHash(contentHash: string): string {
  return createHash('sha256').update(`${contentHash} uncut`).digest('hex').slice(0, 32);
}
