import { type Command, InvalidArgumentError, Option } from 'commander';
import { defined } from '../../defined.ts';
import {
  createKey,
  keyFileOf,
  readKeys,
  revokeKey,
  SCOPES,
  type Scope,
  stateOf,
} from '../../server/keys/key-file.ts';
import { printable } from '../printable.ts';

interface CreateOptions {
  readonly data: string;
  readonly scope: readonly Scope[];
  readonly name?: string;
  readonly collection?: readonly string[];
  readonly expires?: string;
  readonly json?: boolean;
}

export function registerKey(program: Command): void {
  const key = program.command('key').description('make, list and revoke the keys of winnow serve');
  const folder = ['--data <dir>', 'data folder or index folder of winnow serve; made when missing'] as const;
  const json = ['--json', 'print one JSON object'] as const;
  key
    .command('create')
    .description('make a key and print it once; from the first key on, every request needs one')
    .requiredOption(...folder)
    .addOption(
      new Option('--scope <name...>', 'what it allows: read, write (without read), or admin (everything)')
        .choices(SCOPES)
        .default(['read']),
    )
    .option('--name <text>', 'what you call it')
    .option('--collection <name...>', 'only these collections (default: all)')
    .option('--expires <when>', 'end: 12h, 30d, or a date such as 2030-01-31', expiry)
    .option(...json)
    .action(create);
  key
    .command('list')
    .description('list keys, without their secrets, which nobody has')
    .requiredOption(...folder)
    .option(...json)
    .action(list);
  key
    .command('revoke')
    .description('end a key; a running server refuses it from its next request on')
    .argument('<id>', 'the eight digits after wk_')
    .requiredOption(...folder)
    .action(revoke);
}

const MS = { h: 3_600_000, d: 86_400_000 } as const;

/** Parser of a span from now or a date. @returns ISO 8601 */
function expiry(text: string): string {
  const span = /^(\d{1,5})([hd])$/.exec(text);
  const time = span ? Date.now() + Number(span[1]) * MS[span[2] as 'h' | 'd'] : dateOf(text);
  if (!(time > Date.now())) throw new InvalidArgumentError('Expected a time to come: 12h, 30d or a date.');
  return new Date(time).toISOString();
}

const dateOf = (text: string): number => (/^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN);

function create({ data, scope, name, collection, expires, json }: CreateOptions): void {
  const wanted = { scopes: scope, ...defined({ name, collections: collection, expiresAt: expires }) };
  const { token, key } = createKey(data, wanted);
  const { hash: _, ...shown } = key;
  if (json) console.log(JSON.stringify({ token, ...shown }));
  else {
    console.log(token);
    console.error('This is the only time that the key is shown. Send it as: authorization: Bearer KEY');
  }
}

function list({ data, json }: { data: string; json?: boolean }): void {
  const keys = readKeys(keyFileOf(data)).map(({ hash: _, ...key }) => ({
    ...key,
    state: stateOf(key),
  }));
  if (json) {
    console.log(JSON.stringify({ keys }));
    return;
  }
  for (const { id, state, scopes, collections, createdAt, expiresAt, name } of keys) {
    const facts = [
      id,
      state.padEnd(7),
      scopes.join(','),
      collections ? `collections ${collections.join(', ')}` : 'all collections',
      `made ${createdAt}`,
      ...(expiresAt ? [`ends ${expiresAt}`] : []),
      ...(name ? [name] : []),
    ];
    console.log(printable(facts.join('  ')));
  }
  if (keys.length === 0) console.log('no keys: winnow serve answers on this machine only, and needs none');
}

function revoke(id: string, { data }: { data: string }): void {
  console.log(`revoked ${revokeKey(data, id).id}`);
}
