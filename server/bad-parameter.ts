import type { FastifyError } from 'fastify';
import { WinnowError } from '../errors.ts';
import { nearest } from './nearest.ts';

/** An unknown parameter, or an unknown value of one, that is probably meant as another one. */
export class BadParameter extends WinnowError {
  readonly suggestion: string;

  constructor(message: string, place: string, suggestion: string, cause: unknown) {
    super('WINNOW_BAD_ARGUMENT', message, {
      place,
      hint: `did you mean ${JSON.stringify(suggestion)}?`,
      cause,
    });
    this.suggestion = suggestion;
  }
}

/** What other search engines call things. */
const SYNONYMS: Readonly<Record<string, string>> = {
  limit: 'k',
  size: 'k',
  top: 'k',
  topk: 'k',
  hitsperpage: 'k',
  from: 'offset',
  skip: 'offset',
  q: 'query',
  text: 'query',
  where: 'filter',
  filters: 'filter',
  orderby: 'sort',
  sortby: 'sort',
  aggs: 'facets',
  attributestoretrieve: 'fields',
  timeout: 'budgetMs',
};

/**
 * What is wrong with a request that has an unknown name, or a value that is none of a list: says what is, and what is probably meant.
 *
 * @param error of the validation, with the schema that the value failed (`verbose`)
 * @param place of the value
 */
export function badParameter(error: FastifyError, place: string): WinnowError | undefined {
  const [first] = (error.validation ?? []) as Validation[];
  if (first?.keyword === 'additionalProperties') {
    const name = String(first.params.additionalProperty);
    const known = Object.keys(first.parentSchema?.properties ?? {});
    const at = place === error.validationContext ? name : `${place}.${name}`;
    return report(`${name} is no parameter`, at, name, known, error);
  }
  if (first?.keyword === 'enum') {
    const allowed = (first.params.allowedValues as unknown[]).map(String);
    const given = typeof first.data === 'string' ? first.data : JSON.stringify(first.data);
    return report(`${place} cannot be ${JSON.stringify(first.data)}`, place, given, allowed, error);
  }
  return undefined;
}

interface Validation {
  readonly keyword: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly parentSchema?: { readonly properties?: Readonly<Record<string, unknown>> };
  readonly data?: unknown;
}

function report(
  message: string,
  place: string,
  given: string,
  known: readonly string[],
  cause: unknown,
): WinnowError {
  const suggestion = probablyMeant(given, known);
  if (suggestion !== undefined) return new BadParameter(message, place, suggestion, cause);
  return new WinnowError('WINNOW_BAD_ARGUMENT', message, {
    place,
    hint: known.length > 0 ? `known are ${known.join(', ')}` : 'it takes none',
    cause,
  });
}

/** What is probably meant: what other engines call it, or what is written alike. */
function probablyMeant(given: string, known: readonly string[]): string | undefined {
  const synonym = SYNONYMS[given.toLowerCase().replaceAll(/[^a-z]/g, '')];
  return synonym !== undefined && known.includes(synonym) ? synonym : nearest(given, known);
}
