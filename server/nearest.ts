import { distance } from 'fastest-levenshtein';

/** The name that is written most alike, whatever its case, dashes and underscores; undefined where none is close. */
export function nearest(given: string, names: readonly string[]): string | undefined {
  const plain = (name: string) => name.toLowerCase().replaceAll(/[^a-z0-9]/g, '');
  const text = plain(given.slice(0, 100));
  const [best] = names
    .map((name) => ({ name, letters: distance(text, plain(name)) }))
    .sort((a, b) => a.letters - b.letters);
  return best && best.letters <= Math.max(1, Math.floor(text.length / 3)) ? best.name : undefined;
}
