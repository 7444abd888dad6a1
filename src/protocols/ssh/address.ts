/** Where an SSH server listens, and as whom to sign in there. */
import { homedir } from 'node:os';
import { currentUser } from '../../base/current-user.ts';

export interface SshAddress {
  readonly user: string;
  readonly host: string;
  readonly port: number;
}

const addressForm = /^(?:([^@\s]+)@)?(?:\[([^[\]\s]+)\]|([^:@[\]\s]+))(?::(\d{1,5}))?$/;

/** `user@host:port`; `undefined` if it is none. Without a user, who runs this program; without a port, 22. */
export function parseSshAddress(text: string): SshAddress | undefined {
  const match = addressForm.exec(text);
  const port = Number(match?.[4] ?? 22);
  if (!match || port < 1 || port > 65_535) return undefined;
  return { user: match[1] ?? currentUser().username, host: match[2] ?? match[3], port };
}

/** True if a jump is an address of its own and no name of another entry. */
export function isSshAddress(text: string): boolean {
  return /[@.:]/.test(text);
}

/** `~/` is the home of who runs this program. */
export function expandHome(path: string): string {
  return path.startsWith('~/') ? `${homedir()}${path.slice(1)}` : path;
}

/** Host and port as people write them: `db.example`, `db.example:2222`, `[::1]:22`. */
export function showAddress({ host, port }: { readonly host: string; readonly port: number }): string {
  const shown = host.includes(':') ? `[${host}]` : host;
  return port === 22 && shown === host ? host : `${shown}:${port}`;
}
