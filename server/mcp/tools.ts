import { McpServer } from '@modelcontextprotocol/server';
import { addIndexTool, type IndexToolOptions } from './index-tool.ts';
import { addExplainTool, addGetTool, addSearchTool, addStatusTool } from './read-tools.ts';
import type { ToolIndexes } from './tool-host.ts';

export interface ToolOptions extends IndexToolOptions {
  readonly version: string;
  /** Whether documents may be added and deleted. */
  readonly mayWrite: boolean;
}

/**
 * A server of the Model Context Protocol over some indexes: tools `search`, `get`, `explain` and `status`, and `index` where writing is
 * allowed. Tools answer with text for the model and the same as structured content.
 */
export function createToolServer(
  indexes: ToolIndexes,
  { version, mayWrite, ...options }: ToolOptions,
): McpServer {
  const server = new McpServer(
    { name: 'winnow', title: 'Winnow', version },
    {
      instructions:
        'Searches documents that were indexed on this machine. Search first, then get the documents that matter by their ids. ' +
        'Every hit has a snippet; rerank: true orders better and takes longer.',
    },
  );
  addSearchTool(server, indexes);
  addGetTool(server, indexes);
  addExplainTool(server, indexes);
  addStatusTool(server, indexes);
  if (mayWrite) addIndexTool(server, indexes, options);
  return server;
}
