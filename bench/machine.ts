import { availableParallelism, cpus } from 'node:os';
import { commit } from '../cli/commit.ts';

/** Processor, cores and Node version: the first thing to compare when two results differ. */
export function describeMachine(): string {
  return `${cpus()[0]?.model.trim() ?? 'unknown'}, ${availableParallelism()} cores, Node ${process.versions.node}`;
}

/** Short hash of the commit, `unknown` outside a git checkout. */
export const currentCommit = (): string => commit() ?? 'unknown';
