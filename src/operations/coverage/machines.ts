/** Which machine a host or a repository is on: what burns, is stolen or is taken over together. */
import { readFileSync } from 'node:fs';
import { localHost, type RepositoryEntry } from '../../config/index.ts';
import type { SourceAccess } from '../operation.ts';

export interface Machine {
  /** The entry of `hosts:`, or `local`. */
  readonly name: string;
  /** `local`, or a name or address of the network. */
  readonly machine: string;
  /** For a container of the engine on this machine: as the entry names it. */
  readonly container?: string;
}

type Uses = Pick<SourceAccess, 'config' | 'hostKinds'>;

export function machineOf(name: string, uses: Uses): Machine {
  if (name === localHost) return { name, machine: localHost };
  const entry = uses.config.hosts.get(name);
  const kind = uses.hostKinds.find((one) => one.name === entry?.kind);
  const place = entry && kind?.place?.(entry.settings);
  if (place?.container !== undefined) {
    if (place.on === undefined) return { name, machine: localHost, container: place.container };
    // Its engine is not asked from here: what is in the container is all that is seen of it.
    return { name, machine: `${place.container} on ${machineOf(place.on, uses).machine}` };
  }
  return { name, machine: place?.address === undefined ? name : near(place.address) };
}

/** The machine a repository's data is on. A disk that is taken away now and then is a place of its own. */
export function machineOfRepository({ name, url, mayBeAwayMs }: RepositoryEntry): string {
  if (mayBeAwayMs !== undefined) return `the disk ${name}`;
  const path = /^(?:file|local):(.*)$/.exec(url)?.[1] ?? (/^[a-z][a-z0-9+.-]*:/i.test(url) ? undefined : url);
  if (path !== undefined) return machineOfPath(path);
  const address = /\/\/(?:[^/@]*@)?(\[[^\]]+\]|[^/:]+)/.exec(url)?.[1] ?? /^sftp:(?:[^@/]*@)?([^:/]+):/.exec(url)?.[1];
  return near(address ?? url.slice(0, url.indexOf(':')));
}

function near(address: string): string {
  return /^(?:localhost|127\.[\d.]+|\[?::1\]?)$/.test(address) ? localHost : address;
}

const networkKinds =
  /^(?:nfs4?|cifs|smb3?|smbfs|ceph|glusterfs|davfs|9p|fuse\.(?:sshfs|rclone|s3fs|glusterfs|ceph).*)$/;

/** `local` unless the path is on a file system of the network. */
function machineOfPath(path: string): string {
  const mounts = mountLines().flatMap((line) => {
    const [before, after = ''] = line.split(' - ');
    const point = unescaped(before.split(' ')[4] ?? '');
    const [kind, from = ''] = after.split(' ');
    const isAbove = point === '/' || path === point || path.startsWith(`${point}/`);
    return isAbove ? [{ point, kind, from }] : [];
  });
  const [deepest] = mounts.toSorted((a, b) => b.point.length - a.point.length);
  if (deepest === undefined || !networkKinds.test(deepest.kind)) return localHost;
  return near(/^(?:\/\/|(?:[^@/]*@)?)([^:/]+)/.exec(unescaped(deepest.from))?.[1] ?? deepest.from);
}

/** See proc(5), /proc/pid/mountinfo; nothing where there is no such file. */
function mountLines(): string[] {
  try {
    return readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  } catch {
    return [];
  }
}

function unescaped(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
