/** Names of users and groups from /etc/passwd and /etc/group, as restic stores them beside the numbers. */
import { readFileSync } from 'node:fs';

export interface Accounts {
  userName(uid: number): string | undefined;
  groupName(gid: number): string | undefined;
}

/**
 * Reads both files once. Accounts that come from elsewhere (LDAP, systemd) have no name here, which loses nothing: restores
 * go by the numbers.
 */
export function readAccounts(passwdFile = '/etc/passwd', groupFile = '/etc/group'): Accounts {
  const users = parseAccounts(readOrEmpty(passwdFile));
  const groups = parseAccounts(readOrEmpty(groupFile));
  return { userName: (uid) => users.get(uid), groupName: (gid) => groups.get(gid) };
}

/** `name:password:number:…` a line; the first of several names for a number counts. */
export function parseAccounts(text: string): Map<number, string> {
  const names = new Map<number, string>();
  for (const line of text.split('\n')) {
    const [name, , number] = line.split(':');
    if (!name || line.startsWith('#') || !/^\d+$/.test(number ?? '')) continue;
    if (!names.has(Number(number))) names.set(Number(number), name);
  }
  return names;
}

function readOrEmpty(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return ''; // a machine without accounts files (a bare container) has no names
  }
}
