import { Type } from 'typebox';

export const text = (description: string) => Type.String({ description });
export const integer = (description: string) => Type.Integer({ description });

/** Only what is listed. */
export const CLOSED = { additionalProperties: false } as const;

/** Names of collections and aliases: they stand in paths and in names of folders. */
const NAME_PATTERN = '^[a-z0-9][a-z0-9_-]{0,62}$';

export const CollectionName = (description = 'Name of a collection or alias') =>
  Type.String({
    pattern: NAME_PATTERN,
    description: `${description}: 1 to 63 of a-z, 0-9, _ and -`,
  });

export const CollectionPath = Type.Object({
  c: Type.String({ description: 'Name of a collection or alias' }),
});

/** An error inside an answer that is not one itself. */
export const Failure = Type.Object({
  code: text('One of docs/errors.md, for programs'),
  message: text('For people'),
  place: Type.Optional(text('Where it is')),
  hint: Type.Optional(text('The way out')),
});
