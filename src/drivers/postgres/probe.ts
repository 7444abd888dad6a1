/** Whether a backup would work, and what is missing if not. */
import { HoldfastError } from '../../base/errors.ts';
import type { Finding } from '../driver.ts';
import { lookAt } from './backup.ts';
import { lookForSelection, type Selection, unmatchedInAll, warningOf } from './choice.ts';
import { placeOf, type Source } from './place.ts';
import { findClient, findPrograms } from './programs.ts';
import { newestMajor, openSession, type Session } from './session.ts';

export async function probe(source: Source): Promise<Finding[]> {
  const findings: Finding[] = [];
  try {
    await using session = await openSession(source);
    const server = await lookAt(source, session);
    const { major, text } = server.version;
    findings.push({
      level: 'ok',
      message: `PostgreSQL ${text} at ${placeOf(source.settings).title} answers${server.isStandby ? ', a standby' : ''}`,
    });
    if (major > newestMajor) {
      findings.push({
        level: 'warning',
        message: `PostgreSQL ${major} is newer than this driver was tested with`,
        remedy: 'Look for a newer version of Holdfast, and run drills.',
      });
    }
    if (source.settings.globals && !server.isSuperuser) {
      findings.push({
        level: 'warning',
        message: 'passwords of roles cannot be stored, because the user is no superuser',
        remedy: 'Keep them elsewhere, or use a superuser.',
      });
    }
    const programs = await findClient(source, { atLeast: major, prefer: major });
    findings.push({ level: 'ok', message: `pg_dump ${programs.version} on ${programs.host.name}` });
    const looked: Looked[] = [];
    for (const name of server.databases) looked.push(await probeDatabase(source, name));
    findings.push(...looked.map(({ finding }) => finding));
    for (const one of [...server.unmatched, ...unmatchedInAll(looked)])
      findings.push({ level: 'warning', message: warningOf(one), remedy: `Correct «${one.setting}», or wait for it.` });
    for (const message of server.notes)
      findings.push({ level: 'warning', message, remedy: 'See to it, or leave it out with «exclude».' });
    findings.push(await probeDrills(source, major));
  } catch (error) {
    if (!(error instanceof HoldfastError) || error.code === 'cancelled') throw error;
    findings.push({ level: 'error', message: error.message, remedy: error.remedy });
  }
  return findings;
}

interface Looked extends Pick<Selection, 'unmatched'> {
  readonly name: string;
  readonly finding: Finding;
}

async function probeDatabase(source: Source, name: string): Promise<Looked> {
  await using session = await openSession(source, name);
  const selection = await lookForSelection(session, source.settings);
  return { name, unmatched: selection.unmatched, finding: await readability(session, name, selection) };
}

async function readability(session: Session, database: string, { relations }: Selection): Promise<Finding> {
  const unreadable = await notReadable(
    session,
    relations.filter(({ kind }) => kind !== 'f').map(({ oid }) => oid),
  );
  if (unreadable.length > 0) {
    return {
      level: 'error',
      message: `${database}: the user may not read ${unreadable.slice(0, 5).join(', ')}${unreadable.length > 5 ? ` and ${unreadable.length - 5} more` : ''}`,
      remedy:
        'GRANT pg_read_all_data TO the user (PostgreSQL 14 and newer; before: SELECT on all tables and sequences).',
    };
  }
  const bytes = await session.value('SELECT pg_size_pretty(pg_database_size(current_database()))');
  return {
    level: 'ok',
    message: `${database}: ${relations.filter(({ kind }) => kind === 'r').length} tables, ${bytes}`,
  };
}

async function notReadable(session: Session, oids: readonly string[]): Promise<string[]> {
  const rows = await session.query(
    "SELECT oid::regclass FROM pg_catalog.pg_class WHERE oid = ANY ($1::oid[]) AND NOT has_table_privilege(oid, 'SELECT') ORDER BY 1",
    [`{${oids.join(',')}}`],
  );
  return rows.map(([name]) => name ?? '');
}

async function probeDrills(source: Source, major: number): Promise<Finding> {
  const { best } = await findPrograms(source.local, source, { program: 'postgres', atLeast: major, prefer: major });
  if (best) return { level: 'ok', message: `drills start PostgreSQL ${best.version} from ${best.directory || 'PATH'}` };
  return {
    level: 'warning',
    message: `drills need the server programs of PostgreSQL ${major} or newer on this machine, or a container engine`,
    remedy: `Install them: apt install postgresql-${major}; or see that podman or docker runs.`,
  };
}
