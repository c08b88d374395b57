/**
 * What views work with.
 *
 * @typedef {import('./state.js').State} State
 * @typedef {{
 *   state: State,
 *   collections: readonly import('./api.js').CollectionInfo[],
 *   info: import('./api.js').CollectionInfo | undefined,
 *   stats: import('./api.js').CollectionStats | undefined,
 *   href: (change: Partial<State>) => string,
 *   go: (change: Partial<State>, how?: 'push' | 'typing') => void,
 *   reload: (change?: Partial<State>) => Promise<void>,
 * }} Context `stats` are absent while they are fetched. `reload` fetches collections and figures again.
 * @typedef {{ element: HTMLElement, show: (context: Context) => void }} ViewPart
 */
export {};
