import { setTimeout as sleep } from 'node:timers/promises';
import { WinnowError } from '../../errors.ts';
import { type Cluster, pauseMs } from './cluster.ts';
import type { ClusterDocument } from './cluster-document.ts';

/** One operation of a bulk request. */
export type BulkOperation =
  | { readonly put: ClusterDocument }
  | { readonly change: { readonly key: string; readonly routing: string; readonly fields: object } }
  | { readonly remove: { readonly key: string; readonly routing: string } };

/** Why the cluster did not do something. */
export interface ErrorBody {
  readonly reason?: string;
  readonly root_cause?: readonly { readonly reason?: string }[];
  readonly caused_by?: { readonly reason?: string };
}

interface BulkItem {
  readonly _id: string;
  readonly status: number;
  readonly error?: ErrorBody;
}

/** Bytes of a bulk request, about: large enough to be worth the trip, far below what a cluster accepts (100 MB). */
const BULK_BYTES = 8_000_000;

/**
 * Carries out operations in their order, in requests of some megabytes. Operations that the cluster refuses as busy are repeated.
 * There is no transaction: when it throws, operations before the failure have been carried out.
 *
 * @param index name or alias
 * @returns what the cluster refused for what it is, with its reason by key; all else was carried out
 * @throws WinnowError WINNOW_CLUSTER
 */
export async function runBulk(
  cluster: Cluster,
  index: string,
  operations: readonly BulkOperation[],
): Promise<ReadonlyMap<string, string>> {
  const refused = new Map<string, string>();
  let lines: string[] = [];
  let bytes = 0;
  for (const operation of operations) {
    const line = bulkLines(operation);
    if (lines.length > 0 && bytes + line.length > BULK_BYTES) {
      await sendBulk(cluster, index, lines, refused);
      lines = [];
      bytes = 0;
    }
    lines.push(line);
    bytes += line.length;
  }
  if (lines.length > 0) await sendBulk(cluster, index, lines, refused);
  return refused;
}

export function reasonOf(error: ErrorBody | undefined): string {
  const reason = error?.root_cause?.[0]?.reason ?? error?.reason ?? 'no reason is given';
  return error?.caused_by?.reason ? `${reason}: ${error.caused_by.reason}` : reason;
}

/** @param refused gets what the cluster will not take, however often it is sent */
async function sendBulk(
  cluster: Cluster,
  index: string,
  lines: readonly string[],
  refused: Map<string, string>,
): Promise<void> {
  let waiting = lines;
  for (let attempt = 0; ; attempt++) {
    const { body } = await cluster.request<{ errors: boolean; items: Record<string, BulkItem>[] }>({
      method: 'POST',
      path: `/${index}/_bulk`,
      lines: waiting.join(''),
    });
    if (!body.errors) return;
    const busy: string[] = [];
    body.items.forEach((item, i) => {
      const [{ _id, status, error }] = Object.values(item) as [BulkItem];
      if (status < 300 || (status === 404 && !error)) return;
      if (status === 429 || status === 503) busy.push(waiting[i]!);
      else refused.set(_id, `${status} ${reasonOf(error)}`);
    });
    if (busy.length === 0) return;
    if (attempt >= cluster.retries)
      throw new WinnowError(
        'WINNOW_CLUSTER',
        `${busy.length} documents were refused, because the cluster is busy`,
        {
          place: `${cluster.name}/${index}`,
          hint: 'look at GET /_cluster/health and the logs of the cluster, and run it again',
        },
      );
    waiting = busy;
    await sleep(pauseMs(attempt));
  }
}

function bulkLines(operation: BulkOperation): string {
  if ('put' in operation) {
    const { key, routing, source } = operation.put;
    return `${JSON.stringify({ index: { _id: key, routing } })}\n${JSON.stringify(source)}\n`;
  }
  if ('change' in operation) {
    const { key, routing, fields } = operation.change;
    return `${JSON.stringify({ update: { _id: key, routing } })}\n${JSON.stringify({ doc: fields })}\n`;
  }
  const { key, routing } = operation.remove;
  return `${JSON.stringify({ delete: { _id: key, routing } })}\n`;
}
