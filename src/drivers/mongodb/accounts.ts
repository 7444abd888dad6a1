/** Users and roles get into a server by being merged by it, as mongorestore has it done. */
import { throwIfCancelled } from '../../base/errors.ts';
import type { SnapshotContents } from '../driver.ts';
import type { Member } from './connect.ts';
import { archiveParts, isAccounts } from './dump.ts';
import { insertRaw } from './raw-insert.ts';

const beside: Readonly<Record<string, string>> = { 'system.users': 'holdfast_users', 'system.roles': 'holdfast_roles' };

/** Ones of the same name are replaced, others stay. */
export async function restoreAccounts(member: Member, signal: AbortSignal, contents: SnapshotContents): Promise<void> {
  const made = new Set<string>();
  try {
    for await (const part of archiveParts(signal, contents)) {
      if (part.type !== 'documents' || !isAccounts(part) || beside[part.collection] === undefined) continue;
      made.add(beside[part.collection]);
      await insertRaw(member, 'admin', beside[part.collection], part.documents);
    }
    throwIfCancelled(signal);
    if (made.size === 0) return;
    const words = {
      _mergeAuthzCollections: 1,
      tempUsersCollection: made.has('holdfast_users') ? 'admin.holdfast_users' : '',
      tempRolesCollection: made.has('holdfast_roles') ? 'admin.holdfast_roles' : '',
      db: '',
      drop: false,
      writeConcern: { w: 'majority' },
    };
    await member.command('admin', words, 'to add users and roles');
  } finally {
    for (const name of made)
      await member.client
        .db('admin')
        .command({ drop: name })
        .catch(() => undefined);
  }
}
