/** Ways to an SSH server: straight from this machine, or through another server. */
import type { Duplex } from 'node:stream';
import type { Clock } from '../../base/clock.ts';
import { cancelled, HoldfastError, hasCode } from '../../base/errors.ts';
import type { Endpoint } from '../connect-locally.ts';
import { parseSshAddress, type SshAddress, showAddress } from './address.ts';
import { connectThere } from './connect.ts';
import type { Credentials } from './credentials.ts';
import { expectedKey } from './host-key.ts';
import { Link } from './link.ts';
import { Links } from './links.ts';
import type { SignInSettings } from './settings.ts';

/** How long a machine may take to take a connection. */
const dialMs = 20_000;

export type Dial = (address: Endpoint, signal: AbortSignal) => Promise<Duplex>;

export interface LinkEnds {
  /** The host's name, for people. */
  readonly name: string;
  readonly address: SshAddress;
  readonly credentials: Credentials;
  readonly settings: Pick<SignInSettings, 'hostKey' | 'knownHosts'>;
  readonly clock: Clock;
  readonly dial: Dial;
}

export interface Way {
  readonly dial: Dial;
  close(): void;
}

/** Connections to a server, made when they are needed. */
export function linksTo({ name, address, credentials, settings, clock, dial }: LinkEnds): Links {
  const connect = async (signal?: AbortSignal): Promise<Link> => {
    const expected = await expectedKey(name, address, settings);
    const socket = await inTime({ name, address, clock, dial }, signal);
    return await Link.open({ name, address, credentials, expected, socket, signal });
  };
  return new Links({ name, connect, clock });
}

/** Through the server at `jump` (`user@host:port`), which is reached with the same credentials. `config.invalid`. */
export function wayThrough(jump: string, to: Omit<LinkEnds, 'address'>): Way {
  const address = parseSshAddress(jump);
  if (!address) {
    throw new HoldfastError({
      code: 'config.invalid',
      message: `the jump «${jump}» of host ${to.name} is no address`,
      remedy: 'Write user@host:port, or the name of another host.',
    });
  }
  // a pinned key is the target's, not that of the server in between
  const { knownHosts } = to.settings;
  const links = linksTo({ ...to, name: `${to.name}, jump ${jump}`, address, settings: { knownHosts } });
  return { dial: (endpoint, signal) => connectThere(links, endpoint, signal), close: () => links.close() };
}

/** Connects, but does not wait for a machine that drops every packet. */
async function inTime(
  { name, address, clock, dial }: Pick<LinkEnds, 'name' | 'address' | 'clock' | 'dial'>,
  signal: AbortSignal | undefined,
): Promise<Duplex> {
  const stop = new AbortController();
  const done = new AbortController();
  const abort = (): void => stop.abort(cancelled(signal?.reason));
  signal?.addEventListener('abort', abort, { once: true });
  if (signal?.aborted) abort();
  const { host, port } = address;
  clock.sleep(dialMs, { signal: done.signal, background: true }).then(
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
