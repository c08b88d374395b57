import { readFileSync } from 'node:fs';
import type { Served } from '../helpers/served.ts';

export const ODD_STRINGS = [
  'year',
  'colour',
  '__proto__',
  'constructor',
  'toString',
  '',
  ' ',
  '/',
  '..',
  '%',
  '%2F',
  '#',
  '?',
  '&',
  'a b',
  'é',
  'e\u0301',
  '漢字',
  '\u{1f600}',
  '\u0001',
  '\u007f',
  '\ufeff',
  '\u2028',
  'a\nb',
  '\r',
  '"',
  '\\',
  '#0',
  'a'.repeat(100),
  'b'.repeat(400),
  'ü'.repeat(250),
  'length',
  'and',
];
export const ODD_NUMBERS = [0, -1, 1.5, 1e21, 1e-7, 1e308, 2 ** 53, -(2 ** 31), 0.1];

/** Resident memory of a server; 0 where the system does not tell. */
export function residentMb({ child }: Served): number {
  try {
    const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
    return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)![1]) / 1024);
  } catch {
    return 0;
  }
}
