/** What an entry of `hosts:` with the key `ssh` may say. */
import { homedir } from 'node:os';
import { z } from 'zod';
import { currentUser } from '../../base/current-user.ts';
import { secretSetting } from '../../base/secret-reference.ts';

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

export const hostKeyForm = /^(?:SHA256:[A-Za-z0-9+/]{43}=?|[a-z0-9@.-]+ [A-Za-z0-9+/]+={0,2}(?: .*)?)$/;

export const sshSettings = z.strictObject({
  ssh: z
    .string()
    .refine((text) => parseSshAddress(text) !== undefined, {
      error: 'is no address: write user@host:port; user and port may be left out, IPv6 goes in brackets',
    })
    .describe('The address, as user@host:port. User (default: who runs Holdfast) and port (22) may be left out.'),
  key: secretSetting('A private key, usually { file: ~/.ssh/id_ed25519 }. Only this key is offered.').optional(),
  passphrase: secretSetting('The passphrase of the private key, if it has one.').optional(),
  password: secretSetting('The password of the user, where the server wants one.').optional(),
  agent: z
    .boolean()
    .optional()
    .describe('Offer the keys of the agent at SSH_AUTH_SOCK. Default: only if there is neither key nor password.'),
  jump: z
    .string()
    .min(1)
    .optional()
    .describe('Go through this host: the name of another entry, or user@host:port with the same credentials.'),
  knownHosts: z
    .string()
    .refine((path) => /^(?:~\/|\/)/.test(path), { error: 'is no absolute path' })
    .optional()
    .describe('The file of known host keys. Default: ~/.ssh/known_hosts and /etc/ssh/ssh_known_hosts.'),
  hostKey: z
    .string()
    .regex(hostKeyForm, { error: 'is neither a key («ssh-ed25519 AAAA…») nor a fingerprint («SHA256:…»)' })
    .optional()
    .describe('The only host key to accept: «ssh-ed25519 AAAA…» or «SHA256:…». No file of known hosts is read then.'),
});

export type SshSettings = z.infer<typeof sshSettings>;

/** `~/` is the home of who runs this program. */
export function expandHome(path: string): string {
  return path.startsWith('~/') ? `${homedir()}${path.slice(1)}` : path;
}

/** Host and port as people write them: `db.example`, `db.example:2222`, `[::1]:22`. */
export function showAddress({ host, port }: { readonly host: string; readonly port: number }): string {
  const shown = host.includes(':') ? `[${host}]` : host;
  return port === 22 && shown === host ? host : `${shown}:${port}`;
}
