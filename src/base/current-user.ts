/** Who runs this program. A user without an entry in the accounts (common in containers) is known by number. */
import { userInfo } from 'node:os';

export interface CurrentUser {
  readonly username: string;
  readonly uid: number;
  readonly gid: number;
}

export function currentUser(): CurrentUser {
  const uid = Math.max(0, process.getuid?.() ?? 0);
  const gid = Math.max(0, process.getgid?.() ?? 0);
  try {
    return { username: userInfo().username, uid, gid };
  } catch {
    return { username: String(uid), uid, gid };
  }
}
