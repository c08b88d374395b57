import { type CallToolResult, fromJsonSchema, type McpServer } from '@modelcontextprotocol/server';
import type { SearchIndex } from '../../app/search-index.ts';
import { defined } from '../../defined.ts';
import { WinnowError } from '../../errors.ts';
import type { SearchBackend } from '../../query/backend.ts';
import type { SearchRequest } from '../../query/request.ts';
import type { SearchResponse } from '../../query/response.ts';

/** The indexes that tools work on. */
export interface ToolIndexes {
  /** Names that a tool's `collection` may have, ascending. */
  names(): readonly string[];
  /** @throws WinnowError WINNOW_NOT_FOUND, WINNOW_FORBIDDEN for a caller that may not use it */
  open(name: string): SearchIndex<SearchBackend>;
  /** As {@link open} and its search, with the limits of the server. @param signal ends a search that nobody waits for */
  search(name: string, request: SearchRequest, signal: AbortSignal): Promise<SearchResponse>;
}

export interface InCollection {
  readonly collection?: string;
}

export const COLLECTION = {
  type: 'string',
  minLength: 1,
  description: 'Which collection; may be left out where there is only one (status lists them)',
} as const;

/** A JSON Schema of exactly these properties. */
export function object(properties: Readonly<Record<string, object>>, required: readonly string[] = []) {
  return { type: 'object', properties, required, additionalProperties: false } as const;
}

/**
 * Compiles the schema of a tool's input. To be called once per schema and process: the SDK keeps every schema object that it has
 * compiled, and over HTTP each request has a server of its own.
 */
export const inputSchema = <Input>(
  properties: Readonly<Record<string, object>>,
  required?: readonly string[],
): InputSchema<Input> => fromJsonSchema<Input>(object(properties, required) as never);

type InputSchema<Input> = ReturnType<typeof fromJsonSchema<Input>>;

interface Tool<Input> {
  readonly name: string;
  readonly description: string;
  readonly inputSchema: InputSchema<Input>;
  readonly isReadOnly: boolean;
  readonly call: (input: Input, signal: AbortSignal) => Promise<CallToolResult>;
}

/** Adds a tool. Errors of Winnow become results with `isError`, their code and the way out, so that a model can correct its call. */
export function addTool<Input extends InCollection>(server: McpServer, tool: Tool<Input>): void {
  const { name, description, inputSchema: schema, isReadOnly, call } = tool;
  server.registerTool(
    name,
    {
      description,
      inputSchema: schema,
      annotations: { readOnlyHint: isReadOnly, destructiveHint: !isReadOnly, openWorldHint: false },
    },
    async (input, { mcpReq }) => answered(() => call(input, mcpReq.signal)),
  );
}

/** The collection that a call is about. @throws WinnowError WINNOW_BAD_ARGUMENT where there are several and none is named */
export function collectionOf(indexes: ToolIndexes, name: string | undefined): string {
  if (name !== undefined) return name;
  const names = indexes.names();
  if (names.length === 1) return names[0]!;
  throw new WinnowError('WINNOW_BAD_ARGUMENT', 'there is more than one collection, or none', {
    place: 'collection',
    hint: names.length > 0 ? `name one of ${names.join(', ')}` : 'create one first',
  });
}

/** @param text for the model @param structured the same for programs */
export const result = (text: string, structured: object): CallToolResult => ({
  content: [{ type: 'text', text }],
  structuredContent: structured as Record<string, unknown>,
});

/** Of failures of the server only their kind is told. */
async function answered(call: () => Promise<CallToolResult>): Promise<CallToolResult> {
  try {
    return await call();
  } catch (error) {
    const known =
      error instanceof WinnowError
        ? error
        : new WinnowError('WINNOW_SERVER', 'the tool failed inside', { cause: error });
    const { code, message, place, hint } = known;
    return {
      isError: true,
      content: [{ type: 'text', text: known.toString() }],
      structuredContent: { code, message, ...defined({ place, hint }) },
    };
  }
}
