/** The file of known host keys (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"). */
import { createHash, createHmac } from 'node:crypto';
import { parseSshString } from './ssh-string.ts';

export interface KnownKey {
  readonly type: string;
  /** The public key in SSH's own encoding. */
  readonly blob: Buffer;
  readonly marker?: 'revoked' | 'cert-authority';
  readonly file: string;
  readonly line: number;
}

/** `[host]:port` for a port other than 22, as the file has it. */
export function knownHostsName(host: string, port: number): string {
  const name = host.toLowerCase();
  return port === 22 ? name : `[${name}]:${port}`;
}

/**
 * The lines of a file that are about a host. Under a port other than 22, lines for the bare name count too if there is
 * none for the port, as in OpenSSH. Lines that are not understood are about nobody.
 */
export function knownKeysOf(text: string, file: string, host: string, port: number): KnownKey[] {
  const names = [...new Set([knownHostsName(host, port), host.toLowerCase()])];
  for (const name of names) {
    const found = text.split('\n').flatMap((line, at) => parseLine(line, name, file, at + 1));
    if (found.length > 0) return found;
  }
  return [];
}

function parseLine(text: string, name: string, file: string, line: number): KnownKey[] {
  const words = text.trim().split(/\s+/);
  if (words[0] === '' || words[0].startsWith('#')) return [];
  const marker = words[0].startsWith('@') ? words.shift()!.slice(1) : undefined;
  if (marker !== undefined && marker !== 'revoked' && marker !== 'cert-authority') return [];
  const [hosts, type, base64] = words;
  if (!base64 || !matchesHosts(hosts, name)) return [];
  const blob = Buffer.from(base64, 'base64');
  return parseSshString(blob) === type ? [{ type, blob, marker, file, line }] : [];
}

/** A list of patterns apart by comma; one that begins with `!` and matches decides against the line. */
export function matchesHosts(hosts: string, name: string): boolean {
  if (hosts.startsWith('|')) return matchesHash(hosts, name);
  let found = false;
  for (const pattern of hosts.toLowerCase().split(',')) {
    if (pattern.startsWith('!')) {
      if (matchesPattern(pattern.slice(1), name)) return false;
    } else if (matchesPattern(pattern, name)) {
      found = true;
    }
  }
  return found;
}

/** `|1|salt|hash`: HMAC-SHA1 of the name with the salt as its key. */
function matchesHash(hashed: string, name: string): boolean {
  const [, version, salt, hash] = hashed.split('|');
  if (version !== '1' || !hash) return false;
  return createHmac('sha1', Buffer.from(salt, 'base64')).update(name).digest('base64') === hash;
}

function matchesPattern(pattern: string, name: string): boolean {
  if (!/[*?]/.test(pattern)) return pattern === name;
  const parts = pattern.split(/([*?])/).map((part) => {
    if (part === '*') return '.*';
    return part === '?' ? '.' : part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  });
  return new RegExp(`^${parts.join('')}$`).test(name);
}

/** `SHA256:` and base64 without padding, as ssh-keygen prints it. */
export function fingerprintOf(blob: Uint8Array): string {
  return `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`;
}
