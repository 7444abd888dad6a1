/** What of a server a source means, and that it is there: what is chosen and missing is an error, never an empty backup. */
import { HoldfastError } from '../../base/errors.ts';
import type { Member } from './connect.ts';
import type { Settings } from './settings.ts';

export type Choice = Pick<Settings, 'databases' | 'exclude' | 'excludeCollections'>;

export interface Chosen {
  database(name: string): boolean;
  collection(database: string, name: string): boolean;
}

/** Where users, roles and the version of their format are. */
export const accountCollections = ['system.users', 'system.roles', 'system.version'] as const;
/** Where a restore has users and roles for the moment in which the server merges them. */
export const besideAccounts = { 'system.users': 'holdfast_users', 'system.roles': 'holdfast_roles' } as const;
const ownDatabases = new Set(['local', 'config']);

export function isAccountCollection(database: string, name: string): boolean {
  return database === 'admin' && (accountCollections as readonly string[]).includes(name);
}

export function chosenBy({ databases, exclude, excludeCollections }: Choice): Chosen {
  const wanted = databases === 'all' ? undefined : databases.map(globPattern);
  const unwanted = exclude.map(globPattern);
  const without = excludeCollections.map(globPattern);
  return {
    database: (name) =>
      !ownDatabases.has(name) && (wanted?.some((p) => p.test(name)) ?? true) && !unwanted.some((p) => p.test(name)),
    collection(database, name) {
      if (isAccountCollection(database, name)) return wanted === undefined;
      if (database === 'admin' && Object.values<string>(besideAccounts).includes(name)) return false;
      if (name.startsWith('system.') && name !== 'system.js') return false;
      return !without.some((p) => p.test(`${database}.${name}`));
    },
  };
}

/** `*` any characters, `?` one: over the whole name. */
function globPattern(glob: string): RegExp {
  const parts = [...glob].map((c) => (c === '*' ? '.*' : c === '?' ? '.' : c.replace(/[\\^$.|+()[\]{}]/, '\\$&')));
  return new RegExp(`^${parts.join('')}$`, 'su');
}

/**
 * Every database that is named exists, the user sees all there are where all or patterns are asked for, and something is
 * chosen: else `source.missing` or `source.unreadable`. Resolves with a warning where there is nothing at all to choose from.
 */
export async function requireChoice(
  member: Member,
  choice: Choice,
  chosen: readonly { readonly database: string; readonly name: string }[],
): Promise<string | undefined> {
  const { databases } = choice;
  const seesAll = databases === 'all' || databases.some(isPattern);
  const present = await listDatabases(member, seesAll);
  const missing = databases === 'all' ? undefined : databases.find((one) => !isPattern(one) && !present.includes(one));
  if (missing !== undefined) throw notThere(member, missing);
  if (chosen.some(({ database, name }) => !isAccountCollection(database, name))) return undefined;
  const others = present.filter((name) => name !== 'admin');
  if (databases !== 'all' || others.length > 0) throw nothingChosen(member, databases, others);
  return `${member.title} holds no collections: there is nothing to back up, and a drill will prove nothing`;
}

function isPattern(name: string): boolean {
  return /[*?]/.test(name);
}

/** A user without the right to list all is shown only its own, without a word, unless all are insisted on. */
async function listDatabases(member: Member, seesAll: boolean): Promise<string[]> {
  const words = { listDatabases: 1, nameOnly: true, ...(seesAll && { authorizedDatabases: false }) };
  try {
    const { databases } = await member.command('admin', words, 'to list all databases');
    return (databases as { name: string }[]).map(({ name }) => name).filter((name) => !ownDatabases.has(name));
  } catch (error) {
    if (!(error instanceof HoldfastError) || error.context.serverCode !== unauthorized) throw error;
    throw new HoldfastError({
      code: 'source.unreadable',
      message: `${member.title} does not tell the user which databases there are: some could be left out unseen`,
      remedy:
        'Grant the role «backup» on the database admin (docs/drivers/mongodb.md), or name the databases one by one under «databases».',
      cause: error,
    });
  }
}

const unauthorized = 13;

function notThere({ title }: Member, name: string): HoldfastError {
  const isOwn = ownDatabases.has(name);
  return new HoldfastError({
    code: 'source.missing',
    message: isOwn
      ? `the database ${name} of ${title} is the server’s own, and is not backed up`
      : `${title} has no database ${name}, as far as its user sees`,
    remedy: isOwn ? 'Take it out of «databases».' : 'Correct «databases», or grant the user what backups need.',
  });
}

function nothingChosen({ title }: Member, databases: Choice['databases'], present: readonly string[]): HoldfastError {
  const what = databases === 'all' ? 'that is not left out' : `that fits ${databases.join(', ')}`;
  const there = present.slice(0, 10).join(', ') || 'none';
  return new HoldfastError({
    code: 'source.missing',
    message: `${title} has no collection ${what} (databases: ${there})`,
    remedy: 'Correct «databases», «exclude» or «excludeCollections».',
  });
}
