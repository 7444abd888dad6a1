/** Users and roles get into a server by being merged by it, as mongorestore has it done. */
import { HoldfastError, throwIfCancelled } from '../../base/errors.ts';
import type { SnapshotContents } from '../driver.ts';
import { namespaceMissing } from './catalogue.ts';
import { besideAccounts } from './choice.ts';
import type { Member } from './connect.ts';
import { archiveParts, isAccounts } from './dump.ts';
import { insertRaw } from './raw-insert.ts';
import { drop } from './swap.ts';

const beside: Readonly<Record<string, string>> = besideAccounts;

/** Ones of the same name are replaced, others stay. */
export async function restoreAccounts(member: Member, signal: AbortSignal, contents: SnapshotContents): Promise<void> {
  const made = new Set<string>();
  try {
    for await (const part of archiveParts(signal, contents)) {
      if (part.type !== 'documents' || !isAccounts(part) || beside[part.collection] === undefined) continue;
      const name = beside[part.collection];
      // A restore that was killed may have left it.
      if (!made.has(name)) await dropIfThere(member, name);
      made.add(name);
      await insertRaw(member, 'admin', name, part.documents);
    }
    throwIfCancelled(signal);
    if (made.size > 0) await merge(member, made);
  } catch (error) {
    // Why it came to this is worth more; the next restore drops it.
    for (const name of made) await dropIfThere(member, name).catch(() => undefined);
    throw error;
  }
  for (const name of made) await dropIfThere(member, name);
}

async function merge(member: Member, made: ReadonlySet<string>): Promise<void> {
  const nameOf = (name: string): string => (made.has(name) ? `admin.${name}` : '');
  const words = {
    _mergeAuthzCollections: 1,
    tempUsersCollection: nameOf(besideAccounts['system.users']),
    tempRolesCollection: nameOf(besideAccounts['system.roles']),
    db: '',
    drop: false,
    writeConcern: { w: 'majority' },
  };
  await member.command('admin', words, 'to add users and roles');
}

async function dropIfThere(member: Member, name: string): Promise<void> {
  try {
    await drop({ member }, 'admin', name);
  } catch (error) {
    if (!(error instanceof HoldfastError) || error.context.serverCode !== namespaceMissing) throw error;
  }
}
