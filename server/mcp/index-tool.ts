import { realpath } from 'node:fs/promises';
import { sep } from 'node:path';
import type { McpServer } from '@modelcontextprotocol/server';
import { ingest } from '../../app/ingest.ts';
import type { NewDocument, SearchIndex } from '../../app/search-index.ts';
import { openCorpus } from '../../corpus/open-corpus.ts';
import { WinnowError } from '../../errors.ts';
import type { SearchBackend } from '../../query/backend.ts';
import { DOCUMENT_ID } from '../../query/request.ts';
import {
  addTool,
  COLLECTION,
  collectionOf,
  type InCollection,
  inputSchema,
  object,
  result,
  type ToolIndexes,
} from './tool-host.ts';

interface IndexingResult {
  readonly added?: number;
  readonly replaced?: number;
  readonly unchanged?: number;
  readonly deleted?: number;
  /** The first of what could not be stored, with its reason. */
  readonly rejected?: readonly string[];
  readonly rejectedCount?: number;
}

interface IndexInput extends InCollection {
  readonly documents?: readonly NewDocument[];
  readonly delete?: readonly string[];
  readonly path?: string;
}

export interface IndexToolOptions {
  /** Folders below which files may be read. Empty: the tool takes documents only. */
  readonly folders: readonly string[];
  /** Called with what a call has changed. */
  readonly onWritten?: (counts: Readonly<Record<string, number>>) => void;
}

const DOCUMENT = object(
  {
    id: DOCUMENT_ID,
    title: { type: 'string' },
    text: { type: 'string', minLength: 1 },
    metadata: { type: 'object', description: 'JSON values by name; declared fields can be filtered on' },
  },
  ['id', 'text'],
);
const LIST = { type: 'array', minItems: 1, maxItems: 1000 } as const;
const INPUT = {
  collection: COLLECTION,
  documents: { ...LIST, items: DOCUMENT, description: 'Documents to add or replace' },
  delete: { ...LIST, items: DOCUMENT_ID, description: 'Ids to delete' },
};
const PATH = {
  type: 'string',
  minLength: 1,
  description: 'A file or folder on the machine of the server: Markdown, HTML, text, .jsonl or .csv',
} as const;

const DOCUMENTS_INPUT = inputSchema<IndexInput>(INPUT);
const DOCUMENTS_OR_PATH_INPUT = inputSchema<IndexInput>({ ...INPUT, path: PATH });

export function addIndexTool(
  server: McpServer,
  indexes: ToolIndexes,
  { folders, onWritten }: IndexToolOptions,
): void {
  const takesPaths = folders.length > 0;
  addTool(server, {
    name: 'index',
    description: `Add or replace documents, or delete some by id${takesPaths ? ', or index a file or folder' : ''}. Unchanged documents are skipped.`,
    inputSchema: takesPaths ? DOCUMENTS_OR_PATH_INPUT : DOCUMENTS_INPUT,
    isReadOnly: false,
    call: async ({ collection, documents, delete: gone, path }, signal) => {
      if ([documents, gone, path].filter((one) => one !== undefined).length !== 1)
        throw new WinnowError('WINNOW_BAD_ARGUMENT', 'give one of documents, delete and path', {
          place: 'index',
        });
      const index = indexes.open(collectionOf(indexes, collection));
      const report: IndexingResult = documents
        ? await indexDocuments(index, documents)
        : gone
          ? { deleted: await index.delete(gone) }
          : await indexPath(index, path!, folders, signal);
      const { rejected: _, ...counts } = report;
      onWritten?.(counts as Readonly<Record<string, number>>);
      return result(JSON.stringify(report), report);
    },
  });
}

const BATCH_SIZE = 64;
/** Reasons that are returned in full. */
const SHOWN = 20;

class Rejected {
  private readonly shown: string[] = [];
  private count = 0;

  add(error: WinnowError): void {
    if (this.count++ < SHOWN) this.shown.push(String(error));
  }

  get result(): Pick<IndexingResult, 'rejected' | 'rejectedCount'> {
    return this.count === 0 ? {} : { rejected: this.shown, rejectedCount: this.count };
  }
}

/** Adds documents; those that cannot be stored are named in the result. */
async function indexDocuments(
  index: SearchIndex<SearchBackend>,
  documents: readonly NewDocument[],
): Promise<IndexingResult> {
  const rejected = new Rejected();
  const { added, replaced, unchanged } = await index.add(documents, {
    onRejected: (_document, error) => rejected.add(error),
  });
  return { added, replaced, unchanged, ...rejected.result };
}

/**
 * Indexes a file or folder below one of the allowed folders. Links are resolved before they are compared.
 *
 * @param signal ends after the running batch
 * @throws WinnowError WINNOW_NOT_FOUND, WINNOW_FORBIDDEN outside of the folders, WINNOW_UNKNOWN_FORMAT
 */
async function indexPath(
  index: SearchIndex<SearchBackend>,
  path: string,
  folders: readonly string[],
  signal: AbortSignal,
): Promise<IndexingResult> {
  const target = await realpath(path).catch((cause) => {
    throw new WinnowError('WINNOW_NOT_FOUND', 'no such file or folder', { place: path, cause });
  });
  const allowed = await Promise.all(folders.map((folder) => realpath(folder)));
  if (
    !allowed.some(
      (folder) => target === folder || target.startsWith(folder.endsWith(sep) ? folder : `${folder}${sep}`),
    )
  )
    throw new WinnowError('WINNOW_FORBIDDEN', 'the path is outside of the folders that may be indexed', {
      place: path,
      hint: `name a path below ${folders.join(' or ')}, or start winnow mcp with another --folder`,
    });
  const rejected = new Rejected();
  const { added, replaced, unchanged } = await ingest(await openCorpus(target), index.backend, {
    batchSize: BATCH_SIZE,
    passages: true,
    deleteMissing: false,
    onBadRow: (error) => rejected.add(error),
    onProgress: () => {},
    stopped: () => signal.aborted,
  });
  return { added, replaced, unchanged, ...rejected.result };
}
