import { existsSync, readFileSync } from 'node:fs';
import { WinnowError } from '../errors.ts';

/** `count` texts of a JSONL file of documents with title and text, evenly taken from all of them. @throws WinnowError WINNOW_NOT_FOUND */
export function readTexts(corpus: string, count: number): string[] {
  if (!existsSync(corpus)) {
    throw new WinnowError('WINNOW_NOT_FOUND', 'the corpus does not exist', {
      place: corpus,
      hint: 'name a JSONL file of documents with title and text',
    });
  }
  const lines = readFileSync(corpus, 'utf8').split('\n').filter(Boolean);
  const step = Math.max(1, Math.floor(lines.length / count));
  return lines
    .filter((_, i) => i % step === 0)
    .slice(0, count)
    .map((line) => {
      const { title = '', text = '' } = JSON.parse(line);
      return `${title} ${text}`.trim();
    });
}
