import { type PassageRef, parseStoredId } from '../../indexer/format/stored-id.ts';
import type { ClusterHit, ClusterIndex } from './cluster-index.ts';
import { FIELDS } from './mapping.ts';

/** A document or passage that the index has. */
export interface StoredPart {
  readonly key: string;
  readonly ref: PassageRef;
  readonly routing: string;
  readonly isLead: boolean;
  readonly hash: string;
  /** Documents that the source had when this one was written. */
  readonly parts: number;
}

/** Sources asked about in one request. */
const IDS = 1000;
const PAGE = 10_000;

/** The documents of sources in the order of their passages, by id of the source; sources that are not there have no entry. */
export async function storedParts(
  index: ClusterIndex,
  ids: readonly string[],
): Promise<ReadonlyMap<string, readonly StoredPart[]>> {
  const found = new Map<string, StoredPart[]>();
  const distinct = [...new Set(ids)];
  for (let from = 0; from < distinct.length; from += IDS) {
    for await (const hit of hitsOf(index, distinct.slice(from, from + IDS), PART_FIELDS)) {
      const part = partOf(hit);
      const parts = found.get(part.ref.id);
      if (parts) parts.push(part);
      else found.set(part.ref.id, [part]);
    }
  }
  return found;
}

const PART_FIELDS = [FIELDS.storedId, FIELDS.lead, FIELDS.hash, FIELDS.parts];

/** The documents of sources, in ascending order of stored id. @param fields of `_source` to read */
export async function* hitsOf(
  index: ClusterIndex,
  ids: readonly string[],
  fields: readonly string[],
): AsyncGenerator<ClusterHit> {
  let after: ClusterHit['sort'];
  for (;;) {
    const { hits } = await index.search({
      size: PAGE,
      query: { bool: { filter: [{ terms: { [FIELDS.source]: ids } }] } },
      sort: [{ [FIELDS.storedId]: 'asc' }],
      track_total_hits: false,
      _source: fields,
      ...(after ? { search_after: after } : {}),
    });
    yield* hits.hits;
    if (hits.hits.length < PAGE) return;
    after = hits.hits.at(-1)!.sort;
  }
}

function partOf({ _id: key, _source: source = {} }: ClusterHit): StoredPart {
  const ref = parseStoredId(source[FIELDS.storedId] as string);
  return {
    key,
    ref,
    routing: ref.id,
    isLead: source[FIELDS.lead] === true,
    hash: source[FIELDS.hash] as string,
    parts: source[FIELDS.parts] as number,
  };
}

/** Content hashes of the sources that are whole: all their documents are there, and they are of one version. */
export async function contentHashes(
  index: ClusterIndex,
  ids: readonly string[],
): Promise<Map<string, string>> {
  const hashes = new Map<string, string>();
  for (const [id, parts] of await storedParts(index, ids)) {
    const [first] = parts;
    if (parts.length === first!.parts && parts.every(({ hash }) => hash === first!.hash))
      hashes.set(id, first!.hash);
  }
  return hashes;
}
