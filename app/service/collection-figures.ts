import { LEXICAL_ONLY } from '../../query/embedded/open-embedded.ts';
import type { CollectionHost } from './collection-host.ts';
import { failureOf } from './failure.ts';
import type { CollectionInfo, CollectionStats } from './types.ts';

/** What a list of collections shows of one. @param name not an alias */
export async function collectionInfo(host: CollectionHost, name: string): Promise<CollectionInfo> {
  const { createdAt, settings, engine } = host.entry(name);
  const collection = host.collection(name);
  const known = {
    name,
    settings,
    createdAt,
    aliases: host.aliasesOf(name),
    ...(engine ? { engine: { kind: engine.kind, index: engine.index } } : {}),
  };
  try {
    const { documents, sources, model, settings: index } = await collection.stats();
    return {
      ...known,
      documents,
      sources,
      bytes: collection.bytes,
      model: index?.modelHash === LEXICAL_ONLY ? null : model,
      vectors: index?.vectorSize !== undefined,
      fields: index?.filterFields ?? [],
    };
  } catch (error) {
    const none = { documents: 0, sources: 0, bytes: 0, model: null, vectors: false, fields: [] };
    return { ...known, ...none, error: failureOf(error) };
  }
}

/** @param name not an alias @throws WinnowError of opening the index */
export async function collectionStats(host: CollectionHost, name: string): Promise<CollectionStats> {
  const collection = host.collection(name);
  const stats = await collection.stats();
  const { documents, sources, generation, deleted = 0, segments = 0, merging = 0 } = stats;
  const { postings = 0, withVectors = 0, bytes: parts = {}, settings } = stats;
  return {
    name,
    documents,
    sources,
    deleted,
    generation,
    segments,
    merging,
    postings,
    withVectors,
    bytes: collection.bytes,
    parts: Object.fromEntries(Object.entries(parts)),
    stages: collection.backend.capabilities.rerank,
    modes: settings?.modelHash === LEXICAL_ONLY ? ['bm25'] : ['sparse', 'bm25', 'hybrid'],
  };
}
