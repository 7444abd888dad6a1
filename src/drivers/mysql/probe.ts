/** Whether a source can be backed up and drilled, and what stands in the way. */
import { HoldfastError } from '../../base/errors.ts';
import type { Finding, SourceContext } from '../driver.ts';
import { readAccounts } from './accounts.ts';
import { readDatabase } from './catalog.ts';
import { chooseDatabases } from './databases.ts';
import { requirePrivileges } from './privileges.ts';
import { type Flavour, identify, prepareReader, productName, requireFlavour, type Server } from './server.ts';
import { openSession, type Session } from './session.ts';
import type { Settings } from './settings.ts';

type Source = SourceContext<Settings>;

export async function probe(source: Source, flavour: Flavour): Promise<Finding[]> {
  try {
    await using session = await openSession(source);
    const server = await identify(session);
    requireFlavour(server, flavour, session.place.title);
    await prepareReader(session, server);
    return [
      { level: 'ok', message: `${productName[flavour]} ${server.version} at ${session.place.title}` },
      ...(await lookAtDatabases(source, session)),
      ...(await lookAtLog(session, server)),
      ...lookAtConnection(source),
      ...(source.settings.users ? await lookAtAccounts(session, server) : []),
    ];
  } catch (error) {
    if (!(error instanceof HoldfastError) || error.code === 'cancelled') throw error;
    return [{ level: 'error', message: error.message, remedy: error.remedy }];
  }
}

async function lookAtDatabases({ settings }: Source, session: Session): Promise<Finding[]> {
  const names = await chooseDatabases(session, settings, session.place);
  await requirePrivileges(session, names);
  const findings: Finding[] = [{ level: 'ok', message: `${names.length} databases: ${names.slice(0, 20).join(', ')}` }];
  for (const name of names) {
    const { tables } = await readDatabase(session, name, settings);
    const plain = tables.filter((table) => table.withRows && !table.transactional).map((table) => table.name);
    if (plain.length === 0) continue;
    findings.push({
      level: settings.nonTransactional === 'refuse' ? 'error' : 'warning',
      message: `${name} has tables without transactions: ${plain.slice(0, 10).join(', ')}`,
      remedy: `ALTER TABLE … ENGINE=InnoDB makes their backups independent of writers; now: nonTransactional: ${settings.nonTransactional}.`,
    });
  }
  return findings;
}

async function lookAtLog(session: Session, server: Server): Promise<Finding[]> {
  const row = await session.row('SELECT @@log_bin AS log');
  if (row?.log === '1') return [];
  return [
    {
      level: 'warning',
      message: 'the binary log is off',
      remedy: `Turn log_bin on in ${productName[server.flavour]} if changes between two backups must be restorable.`,
    },
  ];
}

function lookAtConnection({ settings, host }: Source): Finding[] {
  const { hostname } = new URL(settings.url);
  const near = settings.socket !== undefined || /^(?:localhost|127\.|\[::1\])/.test(hostname);
  if (near || host.kind === 'ssh' || (settings.tls && settings.tls.mode !== 'off')) return [];
  return [
    {
      level: 'warning',
      message: `the connection to ${hostname} is not encrypted`,
      remedy: 'Write `tls: {}` for this source, with `ca` if the server’s certificate is signed by one of your own.',
    },
  ];
}

async function lookAtAccounts(session: Session, server: Server): Promise<Finding[]> {
  const accounts = await readAccounts(session, server);
  return [{ level: 'ok', message: `${accounts.length} accounts and roles` }];
}
