/** What of a snapshot a restore is about: databases, tables, accounts, chosen by patterns. */
import { HoldfastError } from '../../base/errors.ts';
import { accountsFile, dumpFolder, matcher } from './names.ts';

export interface Choice {
  /** Accounts are restored only when they are named: `users.sql`. */
  readonly accounts: boolean;
  readonly databases: readonly ChosenDatabase[];
}

export interface ChosenDatabase {
  readonly name: string;
  /** `undefined`: all of it, with its views, routines, triggers and events. Else tables only. */
  readonly wants: ((table: string) => boolean) | undefined;
}

/**
 * Patterns: `shop` a database, `shop.orders` a table, `shop.tmp_*` tables, `users.sql` the accounts; paths in the snapshot
 * (`/mysql/shop.sql`) are understood too. `usage.invalid` if nothing is chosen.
 */
export function choose(
  names: readonly string[],
  { include = [], exclude = [] }: { include?: readonly string[]; exclude?: readonly string[] },
): Choice {
  const wanted = include.map(plain);
  const accounts = wanted.includes(accountsFile);
  const isIncluded = matcher(wanted);
  const isExcluded = matcher(exclude.map(plain));
  const tablesExcluded = exclude.some((pattern) => plain(pattern).includes('.'));
  const databases = names.flatMap((name): ChosenDatabase[] => {
    if (isExcluded(name)) return [];
    const whole = wanted.length === 0 || isIncluded(name);
    if (whole && !tablesExcluded) return [{ name, wants: undefined }];
    const mayHoldTables = wanted.some((pattern) => pattern.includes('.') && matcher([pattern.split('.')[0]])(name));
    if (!whole && !mayHoldTables && !wanted.some((pattern) => pattern.startsWith(`${name}.`))) return [];
    return [{ name, wants: (table) => (whole || isIncluded(`${name}.${table}`)) && !isExcluded(`${name}.${table}`) }];
  });
  if (databases.length > 0 || accounts) return { accounts, databases };
  throw new HoldfastError({
    code: 'usage.invalid',
    message: `nothing in the snapshot fits ${include.join(', ')}`,
    remedy: `It holds: ${names.join(', ')}. Name a database, a table as database.table, or ${accountsFile}.`,
  });
}

function plain(pattern: string): string {
  const name = pattern.replace(new RegExp(`^/?${dumpFolder}/`), '');
  return name === accountsFile ? name : name.replace(/\.sql$/, '');
}
