/** Whether the key a server shows is the one it should have. */
import { readFile } from 'node:fs/promises';
import { HoldfastError, messageOf, systemCode } from '../../base/errors.ts';
import { expandHome, type SshAddress, showAddress } from './address.ts';
import { fingerprintOf, type KnownKey, knownHostsName, knownKeysOf } from './known-hosts.ts';
import type { SignInSettings } from './settings.ts';
import { parseSshString } from './ssh-string.ts';

/** What is known of one server before it is asked. */
export interface ExpectedKey {
  /** Algorithms to ask for first, because a key of theirs is known; empty if none is. */
  readonly algorithms: readonly string[];
  /** The reason not to go on, if the key is not the right one. */
  check(blob: Buffer): HoldfastError | undefined;
}

const algorithmsOf: Readonly<Record<string, readonly string[]>> = {
  'ssh-rsa': ['rsa-sha2-512', 'rsa-sha2-256'],
};

/** `secret.unavailable` if the file of known hosts cannot be read. */
export async function expectedKey(
  name: string,
  address: SshAddress,
  settings: Pick<SignInSettings, 'hostKey' | 'knownHosts'>,
): Promise<ExpectedKey> {
  if (settings.hostKey !== undefined) return pinnedKey(name, address, settings.hostKey);
  const files = settings.knownHosts ? [settings.knownHosts] : ['~/.ssh/known_hosts', '/etc/ssh/ssh_known_hosts'];
  const known: KnownKey[] = [];
  for (const file of files.map(expandHome)) {
    known.push(...knownKeysOf(await textOf(file, name), file, address.host, address.port));
  }
  return {
    algorithms: algorithmsFor(known.filter(({ marker }) => marker === undefined).map(({ type }) => type)),
    check: (blob) => judge({ name, address, known, file: expandHome(files[0]) }, blob),
  };
}

function algorithmsFor(types: readonly string[]): string[] {
  return [...new Set(types)].flatMap((type) => algorithmsOf[type] ?? [type]);
}

async function textOf(file: string, name: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    if (systemCode(cause) === 'ENOENT') return '';
    throw new HoldfastError({
      code: 'secret.unavailable',
      message: `the known host keys for host ${name} cannot be read from ${file}: ${messageOf(cause)}`,
      remedy: 'Check that this user may read the file, or pin the key with «hostKey».',
      cause,
    });
  }
}

function pinnedKey(name: string, address: SshAddress, pinned: string): ExpectedKey {
  const [first, base64] = pinned.split(' ');
  const fingerprint = base64 === undefined ? first.replace(/=$/, '') : fingerprintOf(Buffer.from(base64, 'base64'));
  return {
    algorithms: base64 === undefined ? [] : algorithmsFor([first]),
    check: (blob) =>
      fingerprintOf(blob) === fingerprint
        ? undefined
        : refused(
            `the server at ${showAddress(address)} shows the host key ${describe(blob)}, but host ${name} pins ${fingerprint}`,
            'Find out why before anything else: either the server got a new key, or this is another machine in between. If the new key is right, put it into «hostKey».',
          ),
  };
}

interface Judgement {
  readonly name: string;
  readonly address: SshAddress;
  readonly known: readonly KnownKey[];
  /** Where a person adds a key. */
  readonly file: string;
}

function judge({ name, address, known, file }: Judgement, blob: Buffer): HoldfastError | undefined {
  const same = known.filter((key) => key.blob.equals(blob));
  const revoked = same.find(({ marker }) => marker === 'revoked');
  const shown = `the server at ${showAddress(address)} (host ${name})`;
  if (revoked) {
    return refused(
      `${shown} shows the host key ${describe(blob)}, which ${revoked.file} line ${revoked.line} marks as revoked`,
      'Do not use this server until it has a new key: whoever stole the revoked one can pretend to be it.',
    );
  }
  if (same.some(({ marker }) => marker === undefined)) return undefined;
  const other = known.find(({ marker }) => marker === undefined);
  if (other) {
    return refused(
      `THE HOST KEY HAS CHANGED: ${shown} shows ${describe(blob)}, but ${other.file} line ${other.line} knows ${describe(other.blob)}. Somebody may be in between`,
      `Nothing was sent to it. Ask its administrator for the key's fingerprint. Only if the new one is right, remove the old one with: ssh-keygen -R '${knownHostsName(address.host, address.port)}' -f '${other.file}', and accept the new one with: ${acceptCommand(address, blob, file)}`,
    );
  }
  const authority = known.find(({ marker }) => marker === 'cert-authority');
  if (authority) {
    return refused(
      `${shown} is known only by a certificate authority (${authority.file} line ${authority.line}), and host certificates are not supported; it shows ${describe(blob)}`,
      `Compare the fingerprint with the server's own, then pin it: hostKey: "${fingerprintOf(blob)}", or accept it with: ${acceptCommand(address, blob, file)}`,
    );
  }
  return refused(
    `${shown} is not known: it shows the host key ${describe(blob)}`,
    `Compare the fingerprint with the one that «ssh-keygen -lf /etc/ssh/ssh_host_${keyFile(blob)}_key.pub» prints on the server. If they are equal, accept it with: ${acceptCommand(address, blob, file)}, or pin it with hostKey: "${fingerprintOf(blob)}"`,
  );
}

function describe(blob: Buffer): string {
  return `${parseSshString(blob)} ${fingerprintOf(blob)}`;
}

function acceptCommand(address: SshAddress, blob: Buffer, file: string): string {
  const line = `${knownHostsName(address.host, address.port)} ${parseSshString(blob)} ${blob.toString('base64')}`;
  return `echo '${line}' >> '${file}'`;
}

function keyFile(blob: Buffer): string {
  const type = parseSshString(blob) ?? '';
  return type.startsWith('ecdsa') ? 'ecdsa' : type.replace(/^ssh-/, '');
}

function refused(message: string, remedy: string): HoldfastError {
  return new HoldfastError({ code: 'host.unreachable', message, remedy, retry: 'never' });
}
