/** What can be said of a server before it is backed up. */
import { HoldfastError } from '../../base/errors.ts';
import type { Finding, SourceContext } from '../driver.ts';
import { readCatalogue } from './catalogue.ts';
import { requireChoice } from './choice.ts';
import { type Member, openMember } from './connect.ts';
import { methodFor } from './consistency.ts';
import { readAll } from './read.ts';
import type { Settings } from './settings.ts';

type Source = SourceContext<Settings>;

/** Never throws for a state of the source: it becomes a finding. */
export async function probe(source: Source): Promise<Finding[]> {
  try {
    await using member = await openMember(source);
    const catalogue = await readCatalogue(member, source.settings, source.signal);
    const empty = await requireChoice(member, source.settings, catalogue);
    const method = methodFor(source.settings, member);
    await tryRead(source, member);
    const databases = new Set(catalogue.map(({ database }) => database)).size;
    const set = member.setName ? `, ${member.role} of ${member.setName}` : '';
    const message = `${member.title} is MongoDB ${member.version}${set}, with ${catalogue.length} collections in ${databases} databases`;
    return [
      { level: 'ok', message },
      ...(empty === undefined ? [] : [nothingThere(empty)]),
      ...(method === 'none' ? [noInstant(member)] : [{ level: 'ok', message: methods[method] } as const]),
    ];
  } catch (error) {
    if (!(error instanceof HoldfastError) || error.code === 'cancelled') throw error;
    return [{ level: 'error', message: error.message, remedy: error.remedy }];
  }
}

/** All databases means users and roles, too, which not everybody may read. */
async function tryRead({ settings, signal }: Source, member: Member): Promise<void> {
  if (settings.databases !== 'all') return;
  const command = { find: 'system.users', limit: 1 };
  await readAll(member, { database: 'admin', command, doing: 'to read users and roles', signal });
}

const methods = {
  snapshot:
    'all collections are read as of one cluster time (minSnapshotHistoryWindowInSeconds has to cover a backup; default 300)',
  oplog: 'what is written during a backup is stored with it, so that restores come to one instant',
};

function nothingThere(message: string): Finding {
  return { level: 'warning', message, remedy: 'Check the address, or back it up when there is something in it.' };
}

function noInstant({ role }: Member): Finding {
  const why =
    role === 'standalone'
      ? 'the server is not in a replica set'
      : 'the source asks for it, or leaves out what the oplog has';
  return {
    level: 'warning',
    message: `collections are read one after another, not as of one instant: ${why}`,
    remedy:
      'Turn the server into a replica set of one member: see docs/drivers/mongodb.md. It takes a line of configuration and rs.initiate().',
  };
}
