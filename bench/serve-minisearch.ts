// The peer: MiniSearch, an index in JavaScript with BM25+, behind the same web framework, with hits like Winnow's.
import { fileURLToPath } from 'node:url';
import Fastify from 'fastify';
import MiniSearch, { type SearchResult } from 'minisearch';
import { answerCalls, childTask, isChild, Worker } from './child.ts';
import { readDocuments } from './serve-inputs.ts';

interface Task {
  readonly corpus?: string | undefined;
  readonly documents: number;
}

export interface Listening {
  /** Route of its searches. */
  readonly url: string;
}

const SELF = fileURLToPath(import.meta.url);
const HITS = 10;
const SNIPPET_WORDS = 30;

export const startMiniSearch = (task: Task): Worker<Listening> =>
  Worker.start<Listening>(SELF, task, 'MiniSearch');

async function serve(): Promise<Listening> {
  const { corpus, documents } = childTask<Task>();
  const index = new MiniSearch({ fields: ['title', 'text'], storeFields: ['title', 'text', 'metadata'] });
  index.addAll(await readDocuments(corpus, documents));
  const app = Fastify();
  app.post<{ Body: { query: string } }>('/search', ({ body: { query } }) => ({
    hits: index
      .search(query)
      .slice(0, HITS)
      .map((hit) => ({
        id: hit.id,
        score: hit.score,
        title: hit.title,
        snippet: snippetOf(hit),
        metadata: hit.metadata,
      })),
  }));
  return { url: `${await app.listen({ port: 0, host: '127.0.0.1' })}/search` };
}

/** The words of the text among which most words of the query stand, those marked. */
function snippetOf({ text, terms }: SearchResult): { parts: { text: string; marked: boolean }[] } {
  const found = new Set(terms);
  const words = (text as string).split(/\s+/);
  const marks = words.map((word) => found.has(word.toLowerCase().replaceAll(/[^\p{L}\p{N}]/gu, '')));
  let best = 0;
  let most = 0;
  let within = 0;
  marks.forEach((marked, i) => {
    within += Number(marked) - Number(i >= SNIPPET_WORDS && marks[i - SNIPPET_WORDS]);
    if (within <= most) return;
    most = within;
    best = Math.max(0, i - SNIPPET_WORDS + 1);
  });
  const parts: { text: string; marked: boolean }[] = [];
  for (let i = best; i < Math.min(words.length, best + SNIPPET_WORDS); i++) {
    const last = parts.at(-1);
    if (last && last.marked === marks[i]) last.text += ` ${words[i]}`;
    else parts.push({ text: words[i]!, marked: marks[i]! });
  }
  return { parts };
}

if (isChild(SELF)) {
  let listening: Promise<Listening> | undefined;
  answerCalls(() => {
    listening ??= serve();
    return listening;
  });
}
