import type { SearchService } from '../../../app/service/search-service.ts';
import type { SearchTurns } from '../../search-turns.ts';

/** What the routes of /v1 work with. */
export interface V1Options {
  readonly service: SearchService;
  readonly turns: SearchTurns;
  /** Time in ms within which an upload must bring 1 KB more, or end. */
  readonly bodyIdleMs: number;
}

export const READ = { scope: 'read' } as const;
export const ADMIN = { scope: 'admin' } as const;
