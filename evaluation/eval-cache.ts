import { homedir } from 'node:os';
import { join } from 'node:path';

/** Folder of the indexes that evaluations keep. */
export const defaultEvalCache = (): string =>
  join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'winnow', 'eval');
