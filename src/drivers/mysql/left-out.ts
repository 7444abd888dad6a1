/** What a source leaves out of its backups of a database, so that a restore must not take it for gone. */
import { HoldfastError } from '../../base/errors.ts';
import { parseFingerprint } from '../../model/fingerprint.ts';
import { factsFolder } from '../../model/snapshot.ts';
import type { SnapshotContents } from '../driver.ts';
import { fingerprintFile, serverFactsFile } from './backup.ts';
import { matcher, quoteName, quoteText } from './names.ts';
import type { Session } from './session.ts';
import type { Settings } from './settings.ts';

/** Patterns of `database.table`, as the settings have them. */
export interface LeftOut {
  readonly tables: readonly string[];
  readonly rows: readonly string[];
}

/** As the backup noted it; snapshots that did not are taken to be of the settings there are now. */
export async function readLeftOut(contents: SnapshotContents, settings: Settings): Promise<LeftOut> {
  const path = `/${factsFolder}/${serverFactsFile}`;
  const now = { tables: settings.excludeTables, rows: settings.excludeTableData };
  if (!(await contents.node(path))) return now;
  const { leftOut } = JSON.parse(await textOf(contents, path)) as { leftOut?: LeftOut };
  return leftOut ?? now;
}

/**
 * Whether a snapshot holds this table or sequence, however its name is written: it tells by the facts of the backup, without these
 * by what its source leaves out. A foreign key may be to one that it does not hold.
 */
export async function readStored(
  contents: SnapshotContents,
  leftOut: LeftOut,
): Promise<(database: string, table: string) => boolean> {
  const path = `/${factsFolder}/${fingerprintFile}`;
  const facts = (await contents.node(path)) ? parseFingerprint(await textOf(contents, path))?.facts : undefined;
  const lacks = matcher(leftOut.tables);
  if (facts === undefined) return (database, table) => !lacks(`${database}.${table}`);
  const subjects = new Set(facts.map(({ subject }) => subject.toLowerCase()));
  return (database, table) =>
    ['table', 'sequence'].some((kind) => subjects.has(`${kind} ${database}.${table}`.toLowerCase()));
}

async function textOf(contents: SnapshotContents, path: string): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const part of contents.read(path)) parts.push(part);
  return Buffer.concat(parts).toString('utf8');
}

interface Where {
  /** The name the database had where it was backed up. */
  readonly source: string;
  readonly target: string;
  readonly leftOut: LeftOut;
}

/** The tables and views of the target that a snapshot does not have, and those with rows whose rows it does not have. */
export async function findUnstored(session: Session, { source, target, leftOut }: Where): Promise<string[]> {
  if (leftOut.tables.length + leftOut.rows.length === 0) return [];
  const [lacksTable, lacksRows] = [matcher(leftOut.tables), matcher(leftOut.rows)];
  const found = await session.rows(
    `SELECT TABLE_NAME AS name, TABLE_TYPE AS type FROM information_schema.TABLES WHERE TABLE_SCHEMA = ${quoteText(target)} ORDER BY TABLE_NAME`,
  );
  const unstored: string[] = [];
  for (const { name, type } of found) {
    const stored = `${source}.${name}`;
    if (lacksTable(stored)) unstored.push(`${target}.${name}`);
    else if (lacksRows(stored) && type !== 'VIEW' && (await hasRows(session, target, name ?? ''))) {
      unstored.push(`${target}.${name} (rows)`);
    }
  }
  return unstored;
}

async function hasRows(session: Session, database: string, table: string): Promise<boolean> {
  return (await session.row(`SELECT 1 AS found FROM ${quoteName(database)}.${quoteName(table)} LIMIT 1`)) !== undefined;
}

/** `restore.target-invalid`: what is in no snapshot is not dropped. */
export function refuseUnstored(tasks: readonly { readonly unstored: readonly string[] }[]): void {
  const unstored = tasks.flatMap((task) => task.unstored);
  if (unstored.length === 0) return;
  throw new HoldfastError({
    code: 'restore.target-invalid',
    message: `--overwrite would drop what the snapshot does not have, as its source leaves it out: ${unstored.join(', ')}`,
    remedy:
      'Restore without --overwrite: everything present is kept in a database beside. Or drop these first, restore to another database, or choose tables with --include.',
  });
}
