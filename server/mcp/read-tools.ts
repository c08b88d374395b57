import type { McpServer } from '@modelcontextprotocol/server';
import { WinnowError } from '../../errors.ts';
import type { DocumentRef } from '../../indexer/format/stored-id.ts';
import {
  DOCUMENT_ID,
  EXPLAIN_REQUEST,
  type ExplainRequest,
  PASSAGE,
  QUERY,
  SEARCH_OPTIONS,
  type SearchRequest,
} from '../../query/request.ts';
import { documentText, explanationText, hitsText } from './text.ts';
import {
  addTool,
  COLLECTION,
  collectionOf,
  type InCollection,
  inputSchema,
  result,
  type ToolIndexes,
} from './tool-host.ts';

/** Hits that a tool returns at most: more would fill the context of a model. */
const MAX_HITS = 50;

interface OfDocument extends InCollection {
  readonly id: string;
  readonly passage?: number;
}

const refOf = ({ id, passage }: OfDocument): DocumentRef => (passage === undefined ? id : { id, passage });

const { k, offset, mode, filter, rerank, minRelevance, groupByParent } = SEARCH_OPTIONS;
const SEARCH_INPUT = inputSchema<SearchRequest & InCollection>(
  {
    collection: COLLECTION,
    query: QUERY,
    k: { ...k, maximum: MAX_HITS },
    offset,
    // Without a default: each collection has its own.
    mode: { type: mode.type, enum: mode.enum, description: mode.description },
    filter,
    rerank,
    minRelevance,
    groupByParent,
  },
  ['query'],
);
const GET_INPUT = inputSchema<OfDocument>({ collection: COLLECTION, id: DOCUMENT_ID, passage: PASSAGE }, [
  'id',
]);
const EXPLAIN_INPUT = inputSchema<Omit<ExplainRequest, 'document'> & OfDocument>(
  { collection: COLLECTION, ...EXPLAIN_REQUEST.properties },
  EXPLAIN_REQUEST.required,
);
const STATUS_INPUT = inputSchema<InCollection>({ collection: COLLECTION });

export function addSearchTool(server: McpServer, indexes: ToolIndexes): void {
  addTool(server, {
    name: 'search',
    description:
      'Find the documents that answer a question or match words. "quoted phrases" must occur, -words must not.',
    inputSchema: SEARCH_INPUT,
    isReadOnly: true,
    call: async ({ collection, ...request }, signal) => {
      const response = await indexes.search(collectionOf(indexes, collection), request, signal);
      return result(hitsText(response), response);
    },
  });
}

export function addGetTool(server: McpServer, indexes: ToolIndexes): void {
  addTool(server, {
    name: 'get',
    description: 'The whole text, title and metadata of a document, or of one passage of it.',
    inputSchema: GET_INPUT,
    isReadOnly: true,
    call: async ({ collection, ...document }) => {
      const found = await indexes.open(collectionOf(indexes, collection)).get(refOf(document));
      if (found) return result(documentText(found), found);
      throw new WinnowError('WINNOW_NOT_FOUND', `no document "${document.id}"`, {
        place: 'id',
        hint: 'take ids from the hits of search',
      });
    },
  });
}

export function addExplainTool(server: McpServer, indexes: ToolIndexes): void {
  addTool(server, {
    name: 'explain',
    description: 'Why a document has its score for a query, word by word, and at which rank it stands.',
    inputSchema: EXPLAIN_INPUT,
    isReadOnly: true,
    call: async ({ collection, id, passage, ...request }) => {
      const { backend } = indexes.open(collectionOf(indexes, collection));
      const document = refOf({ id, ...(passage === undefined ? {} : { passage }) });
      const explanation = await backend.explain({ ...request, document });
      return result(explanationText(explanation), explanation);
    },
  });
}

export function addStatusTool(server: McpServer, indexes: ToolIndexes): void {
  addTool(server, {
    name: 'status',
    description: 'Which collections there are, how many documents they hold, and what they can do.',
    inputSchema: STATUS_INPUT,
    isReadOnly: true,
    call: async ({ collection }) => {
      const names = collection === undefined ? indexes.names() : [collection];
      const collections = await Promise.all(names.map((name) => statusOf(indexes, name)));
      const line = ({ name, documents, sources, model, rerank: stages }: CollectionStatus) =>
        `${name}: ${sources} documents (${documents} with passages), model ${model}, rerank by ${stages.join(' and ')}`;
      return result(collections.map(line).join('\n') || 'There is no collection.', { collections });
    },
  });
}

interface CollectionStatus {
  readonly name: string;
  /** Passages count one each. */
  readonly documents: number;
  readonly sources: number;
  readonly model: string;
  readonly rerank: readonly string[];
}

async function statusOf(indexes: ToolIndexes, name: string): Promise<CollectionStatus> {
  const { backend } = indexes.open(name);
  const { documents, sources, model } = await backend.stats();
  return { name, documents, sources, model, rerank: backend.capabilities.rerank };
}
