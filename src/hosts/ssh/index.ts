/** Machines reached over SSH. Nothing has to be installed there. */
import type { Duplex } from 'node:stream';
import { cancelled, HoldfastError, hasCode } from '../../base/errors.ts';
import type { Address, Host, HostKind, HostTools } from '../host.ts';
import { connectThere } from './connect.ts';
import { type Credentials, readCredentials } from './credentials.ts';
import { FarShell } from './far-shell.ts';
import { abilitiesOf, type FarAbilities, type FarPlaces, farFiles } from './files.ts';
import { expectedKey } from './host-key.ts';
import { Link } from './link.ts';
import { Links } from './links.ts';
import { openFarTarget } from './restore-target.ts';
import { runThere } from './run.ts';
import {
  isSshAddress,
  parseSshAddress,
  type SshAddress,
  type SshSettings,
  showAddress,
  sshSettings,
} from './settings.ts';
import { SftpSession } from './sftp-session.ts';

/** How long a machine may take to take a connection. */
const dialMs = 20_000;
/** How long its shell may take to start a small program. */
const answerMs = 60_000;

const limits = {
  exact:
    'attributes are what SFTP knows: times to the second, no hard links, no device numbers, no file system boundaries; a change that keeps size and modification time is not seen',
  xattrs: 'extended attributes and ACLs are not backed up: getfattr (package attr) is not installed on the host',
  holes: 'holes of sparse files are read as the zeros they stand for: neither python3 nor perl is on the host',
};

type Dial = (address: Address, signal: AbortSignal) => Promise<Duplex>;

export const sshHost: HostKind<SshSettings> = {
  name: 'ssh',
  title: 'SSH',
  settings: sshSettings,
  references: ['jump'],
  open: openSshHost,
};

async function openSshHost(name: string, settings: SshSettings, tools: HostTools): Promise<Host> {
  const address = parseSshAddress(settings.ssh)!;
  const credentials = await readCredentials(name, settings, tools.secret);
  const jump = jumpOf(name, settings, credentials, tools);
  const links = linksTo({ name, address, credentials, settings, tools, dial: jump.dial });
  const close = async (): Promise<void> => {
    links.close();
    jump.close();
  };
  try {
    await links.any(tools.signal);
    const shell = new FarShell((command) => runThere(links, name, command));
    const far = await answered(name, tools, askShell(shell, address));
    const places: FarPlaces = { sftp: new SftpSession(links, name), clock: tools.clock, ...far.abilities };
    return {
      name,
      kind: 'ssh',
      hostname: far.hostname,
      files: farFiles(places),
      limits: limitsOf(far.abilities),
      run: (command) => runThere(links, name, command),
      connect: (to, signal) => connectThere(links, to, signal),
      openTarget: (directory, existing) => openFarTarget(places, directory, existing),
      close: async () => {
        await shell.close();
        await places.sftp.close();
        await close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

interface Ends {
  readonly name: string;
  readonly address: SshAddress;
  readonly credentials: Credentials;
  readonly settings: Pick<SshSettings, 'hostKey' | 'knownHosts'>;
  readonly tools: HostTools;
  readonly dial: Dial;
}

function linksTo({ name, address, credentials, settings, tools, dial }: Ends): Links {
  const connect = async (signal?: AbortSignal): Promise<Link> => {
    const expected = await expectedKey(name, address, settings);
    const socket = await inTime({ name, address, tools, dial }, signal);
    return await Link.open({ name, address, credentials, expected, socket, signal });
  };
  return new Links({ name, connect, clock: tools.clock });
}

/** From this machine, from another host, or from an address that is reached with the same credentials. */
function jumpOf(
  name: string,
  settings: SshSettings,
  credentials: Credentials,
  tools: HostTools,
): { readonly dial: Dial; close(): void } {
  const { jump, knownHosts } = settings;
  if (jump === undefined) return { dial: tools.local.connect, close: () => {} };
  if (!isSshAddress(jump)) {
    return { dial: async (to, signal) => await (await tools.through(jump)).connect(to, signal), close: () => {} };
  }
  const address = parseSshAddress(jump);
  if (!address) {
    throw new HoldfastError({
      code: 'config.invalid',
      message: `the jump «${jump}» of host ${name} is no address`,
      remedy: 'Write user@host:port, or the name of another host.',
    });
  }
  const ends = { name: `${name}, jump ${jump}`, address, credentials, settings: { knownHosts }, tools };
  const links = linksTo({ ...ends, dial: tools.local.connect });
  return { dial: (to, signal) => connectThere(links, to, signal), close: () => links.close() };
}

/** Connects, but does not wait for a machine that drops every packet. */
async function inTime(
  { name, address, tools, dial }: Pick<Ends, 'name' | 'address' | 'tools' | 'dial'>,
  signal: AbortSignal | undefined,
): Promise<Duplex> {
  const stop = new AbortController();
  const done = new AbortController();
  const abort = (): void => stop.abort(cancelled(signal?.reason));
  signal?.addEventListener('abort', abort, { once: true });
  if (signal?.aborted) abort();
  const { host, port } = address;
  tools.clock.sleep(dialMs, { signal: done.signal, background: true }).then(
    () => stop.abort(tooLate(name, address)),
    () => {},
  );
  try {
    return await dial({ host, port }, stop.signal);
  } catch (error) {
    throw hasCode(error, 'cancelled') && stop.signal.reason instanceof HoldfastError ? stop.signal.reason : error;
  } finally {
    done.abort();
    signal?.removeEventListener('abort', abort);
  }
}

function tooLate(name: string, address: SshAddress): HoldfastError {
  return new HoldfastError({
    code: 'host.unreachable',
    message: `${showAddress(address)} (host ${name}) does not answer within ${dialMs / 1000} seconds`,
    remedy: 'Check the address, that the machine is up, and that no firewall is in between.',
    retry: 'later',
  });
}

/** A login shell that waits for something would hold everything up for ever. */
async function answered<T>(name: string, { clock, signal }: HostTools, answer: Promise<T>): Promise<T> {
  const done = new AbortController();
  const late = clock.sleep(answerMs, { signal: AbortSignal.any([done.signal, signal]), background: true }).then(() => {
    throw new HoldfastError({
      code: 'host.unreachable',
      message: `the shell of the user on host ${name} starts nothing within ${answerMs / 1000} seconds`,
      remedy: 'Sign in with ssh and see what its start files wait for.',
      retry: 'later',
    });
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    done.abort();
  }
}

/** An account that may only transfer files cannot be asked; then the machine goes by its address. */
async function askShell(shell: FarShell, address: SshAddress): Promise<{ hostname: string; abilities: FarAbilities }> {
  try {
    const { output } = await shell.call(['uname', '-n']);
    return { hostname: output.toString('utf8').trim() || address.host, abilities: await abilitiesOf(shell) };
  } catch (error) {
    if (!hasCode(error, 'host.command-failed')) throw error;
    return { hostname: address.host, abilities: {} };
  }
}

function limitsOf(abilities: FarAbilities): string[] {
  const missing = (['exact', 'xattrs', 'holes'] as const).filter((ability) => !abilities[ability]);
  return missing.map((ability) => limits[ability]);
}
