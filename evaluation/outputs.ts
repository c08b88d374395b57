import { mkdir, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { WinnowError } from '../errors.ts';
import type { SystemResult } from './evaluate.ts';
import { htmlReport } from './html/html-report.ts';
import { markdownReport } from './markdown-report.ts';
import type { EvaluationReport } from './report.ts';
import { resultCsv } from './result-table.ts';
import { writeTrecRun } from './trec.ts';

/** Files to write; folders on the way are made. */
export interface OutputFiles {
  /** The whole report, for regression checks and for making pages again. */
  readonly json?: string;
  readonly csv?: string;
  readonly html?: string;
  readonly markdown?: string;
  /** Folder for one TREC run per data set and system, each with a `.meta.json` beside it. */
  readonly runs?: string;
}

/**
 * Writes an evaluation. Each file is written beside its name and renamed, so a reader sees the old one or the new one.
 *
 * @param command how the figures were made, for the Markdown page
 * @throws WinnowError WINNOW_STORAGE
 */
export async function writeOutputs(
  report: EvaluationReport,
  results: readonly SystemResult[],
  files: OutputFiles,
  { title = 'Retrieval evaluation', command = '' } = {},
): Promise<void> {
  const texts: [string | undefined, () => string][] = [
    [files.json, () => `${JSON.stringify(report, null, 1)}\n`],
    [files.csv, () => resultCsv(results)],
    [files.html, () => htmlReport(report, title)],
    [files.markdown, () => markdownReport(report, { title, command })],
  ];
  for (const [file, text] of texts) if (file !== undefined) await replaceFile(file, text());
  if (files.runs !== undefined) for (const result of results) await writeRun(files.runs, result, report);
}

/** `<data set>.<system>.trec` with what was run beside it; characters that file systems dislike become `_`. */
export function runFileName({ dataset, system }: Pick<SystemResult, 'dataset' | 'system'>): string {
  return `${dataset}.${system}`.replace(/[^\w.=+-]+/g, '_').replace(/^\.+/, '_');
}

async function writeRun(folder: string, result: SystemResult, report: EvaluationReport): Promise<void> {
  const file = join(folder, `${runFileName(result)}.trec`);
  const { dataset, system, facts, queries, means, dropped } = result;
  const { created, machine, commit, settings } = report;
  const meta = {
    dataset,
    system,
    queries,
    means: Object.fromEntries(means),
    dropped,
    facts,
    created,
    machine,
    commit,
    settings,
  };
  await makeFolder(folder);
  await writeTrecRun(file, result.run, system);
  await replaceFile(`${file}.meta.json`, `${JSON.stringify(meta, null, 1)}\n`);
}

async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
  } catch (cause) {
    throw new WinnowError('WINNOW_STORAGE', `cannot be made: ${(cause as Error).message}`, {
      place: folder,
      cause,
    });
  }
}

async function replaceFile(file: string, text: string): Promise<void> {
  await makeFolder(dirname(file));
  try {
    await writeFile(`${file}.part`, text);
    await rename(`${file}.part`, file);
  } catch (cause) {
    throw new WinnowError('WINNOW_STORAGE', `cannot be written: ${(cause as Error).message}`, {
      place: file,
      cause,
    });
  }
}
