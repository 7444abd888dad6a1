/** What a server or a connection said, as errors with a remedy. */
import { HoldfastError, messageOf, systemCode } from '../../base/errors.ts';
import type { Place } from './settings.ts';

type Known = Pick<HoldfastError, 'code' | 'remedy' | 'retry'>;

const signIn: Known = {
  code: 'source.unreadable',
  remedy: 'Check user and password of the source, and from which machines the account may sign in.',
  retry: 'never',
};
const privileges: Known = {
  code: 'source.unreadable',
  remedy: 'Grant the user what docs/drivers lists for backups, or leave out what it may not read.',
  retry: 'never',
};
const crowded: Known = { code: 'source.busy', remedy: 'Try later, or raise max_connections.', retry: 'later' };
const changed: Known = {
  code: 'source.changed',
  remedy: 'Run the backup again while no tables are created, altered or dropped.',
  retry: 'later',
};
const broken: Known = {
  code: 'host.unreachable',
  remedy: 'Check that the server runs and that nothing ends its connections (wait_timeout, a proxy, a KILL).',
  retry: 'later',
};
const locked: Known = {
  code: 'source.busy',
  remedy: 'Try when fewer long statements run, or raise lockWaitSeconds.',
  retry: 'later',
};
const damaged: Known = {
  code: 'source.unreadable',
  remedy: 'Repair the table (CHECK TABLE, REPAIR TABLE), or leave it out with excludeTables.',
  retry: 'never',
};

/** By the server's error number (MySQL 9 and MariaDB 12 error references). */
const byNumber: Readonly<Record<number, Known>> = {
  1040: crowded,
  1203: crowded,
  1226: crowded,
  1044: privileges,
  1045: signIn,
  1130: signIn,
  1142: privileges,
  1227: privileges,
  1370: privileges,
  1698: signIn,
  1049: changed,
  1146: changed,
  1412: changed,
  1205: locked,
  1213: locked,
  1194: damaged,
  1195: damaged,
  1053: broken,
  1317: broken,
  1927: broken,
};

/** Anything a connection threw as an error of ours; one that is already is left alone. */
export function explainRefusal(error: unknown, place: Pick<Place, 'title' | 'user'>, doing?: string): unknown {
  if (error instanceof HoldfastError) return error;
  const number = error instanceof Error && 'errno' in error ? Number(error.errno) : 0;
  const known = byNumber[number] ?? unnumbered(error);
  const what = doing === undefined ? place.title : `${place.title}, ${doing}`;
  return new HoldfastError({
    ...known,
    message: `${what}: ${messageOf(error)}`,
    context: { user: place.user, ...(number > 0 && { errorNumber: number }) },
    cause: error,
  });
}

function unnumbered(error: unknown): Known {
  const code = systemCode(error) ?? '';
  if (/SSL|CERT|TLS|SELF_SIGNED|UNABLE_TO|secure connection/i.test(`${code} ${messageOf(error)}`)) {
    return {
      code: 'host.unreachable',
      remedy: 'Check that the server offers TLS, and that tls.ca and tls.serverName fit its certificate.',
      retry: 'never',
    };
  }
  if (error instanceof Error && 'sqlState' in error) {
    return { code: 'source.unreadable', remedy: 'Look at the log of the server.', retry: 'later' };
  }
  return broken;
}
