import { currentCommit, describeMachine } from './machine.ts';

/** What a benchmark returns. */
export interface BenchReport<Row extends object> {
  readonly machine: string;
  readonly commit: string;
  readonly rows: readonly Row[];
}

export const report = <Row extends object>(rows: readonly Row[]): BenchReport<Row> => ({
  machine: describeMachine(),
  commit: currentCommit(),
  rows,
});

export const round = (value: number, digits: number): number => Number(value.toFixed(digits));
