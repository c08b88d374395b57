import type { RepairReport } from '../indexer/admin/repair.ts';
import { printable } from './printable.ts';

/** Entries of each kind that are printed one by one; `--json` lists all. */
const SHOWN = 20;

/** Says what a repair or an upgrade kept and dropped. */
export function printRepair(index: string, report: RepairReport): void {
  const { documents, dropped, segments, incomplete } = report;
  const list = (lines: readonly string[]): void => {
    for (const line of lines.slice(0, SHOWN)) console.log(`  ${printable(line)}`);
    if (lines.length > SHOWN) console.log(`  and ${(lines.length - SHOWN).toLocaleString('en')} more`);
  };
  if (segments.length > 0) {
    console.log('dropped segments:');
    list(segments.map(({ number, documents, why }) => `${number} with ${documents} documents: ${why}`));
  }
  if (dropped.length > 0) {
    console.log('dropped documents:');
    list(dropped.map(({ id, why }) => `${JSON.stringify(id)}: ${why}`));
  }
  if (incomplete.length > 0) {
    console.log('index these again, something of them is missing:');
    list(
      incomplete.map(({ id, documentsLeft }) =>
        documentsLeft === 0 ? JSON.stringify(id) : `${JSON.stringify(id)} (${documentsLeft} passages left)`,
      ),
    );
  }
  if (segments.length + dropped.length + incomplete.length === 0) console.log('nothing was damaged');
  console.log(`${printable(index)} holds ${documents.toLocaleString('en')} documents`);
}
