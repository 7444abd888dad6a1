/** How a directory on an SSH server is written as a repository's URL: restic's forms. */
import { currentUser } from '../../base/current-user.ts';
import { HoldfastError } from '../../base/errors.ts';
import { type SshAddress, showAddress } from '../../protocols/ssh/address.ts';

export interface SftpPlace {
  readonly address: SshAddress;
  /** The directory; relative to where the server puts the user (the home, usually) unless it begins with `/`. */
  readonly path: string;
  /** Without secrets, for messages. */
  readonly shown: string;
}

export const urlForm = 'sftp:user@host:/path, sftp:user@host:path below the home, or sftp://user@host:port//path';

export function isSftpUrl(url: string): boolean {
  return url.startsWith('sftp:');
}

/** `port` counts where the URL has none. `usage.invalid`. */
export function parseSftpUrl(url: string, port = 22): SftpPlace {
  const { user, host, path, ...from } = url.startsWith('sftp://') ? fromUrl(url) : fromShortForm(url);
  const clean = cleanPath(path);
  if (clean === '' || clean.includes('\0')) throw invalid(url, 'it names no directory');
  if (clean.startsWith('~')) throw invalid(url, 'SFTP servers do not know «~»; leave it out, paths begin in the home');
  const address = { user: user || currentUser().username, host, port: from.port ?? port };
  const shown =
    address.port === 22
      ? `sftp:${address.user}@${showAddress(address)}:${clean}`
      : `sftp://${address.user}@${showAddress(address)}/${clean}`;
  return { address, path: clean, shown };
}

interface Parts {
  readonly user: string | undefined;
  readonly host: string;
  readonly path: string;
  readonly port?: number;
}

/** `sftp://user@host:port/path`: what follows the first slash is the path, so an absolute one has two. */
function fromUrl(url: string): Parts {
  const match = /^sftp:\/\/(?:([^@/]*)@)?(?:\[([^[\]/]+)\]|([^:@[\]/\s]+))(?::(\d{1,5}))?\/(.*)$/s.exec(url);
  if (!match) throw invalid(url, 'it is not of the form sftp://user@host:port/path');
  const [, user, six, host, port, path] = match;
  const number = port === undefined ? undefined : Number(port);
  if (number !== undefined && (number < 1 || number > 65_535)) throw invalid(url, 'it has a port that is none');
  return { user: user && nameOf(decoded(url, user)), host: six ?? host, port: number, path: decoded(url, path) };
}

function fromShortForm(url: string): Parts {
  const match = /^sftp:(?:([^@/]*)@)?(?:\[([^[\]/]+)\]|([^:@[\]/\s]+)):(.*)$/s.exec(url);
  if (!match) throw invalid(url, 'it is not of the form sftp:user@host:path');
  const [, user, six, host, path] = match;
  return { user: user && nameOf(user), host: six ?? host, path };
}

function nameOf(user: string): string {
  if (!user.includes(':')) return user;
  const remedy = 'Take the password out of it and write it under «sftp:», as password: { file: … }.';
  throw new HoldfastError({ code: 'usage.invalid', message: 'the sftp URL has a password in it', remedy });
}

function decoded(url: string, text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalid(url, 'a «%» in it is not followed by two hex digits; write «%25» for the sign itself');
  }
}

/** Without `.`, doubled and trailing slashes. `..` stays: what it means is the server's to say. */
function cleanPath(path: string): string {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  const joined = parts.join('/');
  if (path.startsWith('/')) return `/${joined}`;
  return joined === '' && path.includes('.') ? '.' : joined;
}

function invalid(url: string, why: string): HoldfastError {
  const shown = url.replace(/:[^:@/]*@/, ':***@');
  const message = `${JSON.stringify(shown)} is not the URL of a directory on an SSH server: ${why}`;
  return new HoldfastError({ code: 'usage.invalid', message, remedy: `Write ${urlForm}.` });
}
