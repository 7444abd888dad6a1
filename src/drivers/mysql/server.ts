/** Which server it is, and what it can do. */
import { HoldfastError } from '../../base/errors.ts';
import { oneRow, type Session } from './session.ts';

export type Flavour = 'mysql' | 'mariadb';

export interface Server {
  readonly flavour: Flavour;
  /** As the server says: `10.11.14-MariaDB-0+deb12u2`, `9.7.4`. */
  readonly version: string;
  /** Major, minor, patch. */
  readonly numbers: readonly number[];
  readonly lowerCaseTableNames: number;
}

export const productName: Readonly<Record<Flavour, string>> = { mysql: 'MySQL', mariadb: 'MariaDB' };

export async function identify(session: Session): Promise<Server> {
  const row = await oneRow(
    session,
    'SELECT VERSION() AS version, @@version_comment AS comment, @@lower_case_table_names AS lower_case',
  );
  const version = row.version ?? '';
  return {
    flavour: /mariadb/i.test(`${version} ${row.comment}`) ? 'mariadb' : 'mysql',
    version,
    numbers: versionNumbers(version),
    lowerCaseTableNames: Number(row.lower_case),
  };
}

export function versionNumbers(text: string): number[] {
  return (/\d+(?:\.\d+)*/.exec(text)?.[0] ?? '0').split('.').map(Number);
}

/** True if version `a` is `b` or newer. */
export function isAtLeast(a: readonly number[], ...b: readonly number[]): boolean {
  for (const [at, wanted] of b.entries()) {
    const found = a[at] ?? 0;
    if (found !== wanted) return found > wanted;
  }
  return true;
}

/** MySQL 5.7 and MariaDB 10.2 are the oldest with what exact definitions need. `source.unsupported`. */
export function requireFlavour(server: Server, driver: Flavour, title: string): void {
  if (server.flavour !== driver) {
    throw new HoldfastError({
      code: 'source.unsupported',
      message: `${title} is ${productName[server.flavour]} ${server.version}, not ${productName[driver]}`,
      remedy: `Write «driver: ${server.flavour}» for this source.`,
    });
  }
  const oldest = driver === 'mysql' ? [5, 7] : [10, 2];
  if (isAtLeast(server.numbers, ...oldest)) return;
  throw new HoldfastError({
    code: 'source.unsupported',
    message: `${title} is ${productName[driver]} ${server.version}, which is too old`,
    remedy: `Upgrade the server to ${productName[driver]} ${oldest.join('.')} or newer.`,
  });
}

/** What every session that reads for a backup is told. Timeouts: a slow repository may not cost the connection. */
export async function prepareReader(session: Session, server: Server): Promise<void> {
  const day = 86_400;
  await session.run(
    `SET SESSION wait_timeout = ${7 * day}, net_write_timeout = ${day}, net_read_timeout = ${day}`,
    "SET SESSION sql_mode = '', time_zone = '+00:00', sql_quote_show_create = 1, group_concat_max_len = 1048576",
    'SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ',
  );
  if (server.flavour === 'mysql') {
    await session.run('SET SESSION max_execution_time = 0');
    if (isAtLeast(server.numbers, 8, 0)) await session.run('SET SESSION information_schema_stats_expiry = 0');
  } else {
    await session.run('SET SESSION max_statement_time = 0');
    if (isAtLeast(server.numbers, 10, 3)) await session.run('SET SESSION idle_transaction_timeout = 0');
  }
}
