/** Connects to a server, signs in, and says in words why it refuses. */
import { readFile } from 'node:fs/promises';
import type { Duplex } from 'node:stream';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { HoldfastError, messageOf, reasonOf } from '../../base/errors.ts';
import type { Address } from '../../hosts/host.ts';
import { Connection, ErrorReply } from '../../protocols/redis/connection.ts';
import type { SourceContext } from '../driver.ts';
import { whileOpening } from '../opening.ts';
import type { Settings } from './settings.ts';

/** A server as settings describe it. */
export interface Place {
  readonly address: Address;
  /** Without user and password: `redis://db.example:6379`. */
  readonly title: string;
  readonly user: string | undefined;
  /** The name a certificate must have; absent without TLS. */
  readonly tlsName?: string;
}

const defaultPort = 6379;

export function placeOf({ url, socket, tls }: Pick<Settings, 'url' | 'socket' | 'tls'>): Place {
  const { protocol, hostname, port, username } = new URL(url);
  const host = hostname.replace(/^\[|\]$/g, '');
  const user = username === '' ? undefined : decodeURIComponent(username);
  const secure = protocol === 'rediss:' && { tlsName: tls.serverName ?? host };
  if (socket !== undefined) return { address: { socketPath: socket }, title: socket, user, ...secure };
  const address = { host, port: port === '' ? defaultPort : Number(port) };
  return { address, title: `${protocol}//${hostname}:${address.port}`, user, ...secure };
}

/** Connected and signed in. Aborting the source's signal ends it. `host.unreachable`, `source.unreadable`. */
export async function connect(source: SourceContext<Settings>): Promise<Connection> {
  const place = placeOf(source.settings);
  const stream = await open(place, source);
  const connection = new Connection(stream, place.title);
  const abort = (): void => void stream.destroy(reasonOf(source.signal));
  source.signal.addEventListener('abort', abort, { once: true });
  stream.once('close', () => source.signal.removeEventListener('abort', abort));
  try {
    await whileOpening(source, { stream, title: place.title }, () => signIn(connection, place, source));
    return connection;
  } catch (error) {
    await connection[Symbol.asyncDispose]();
    throw source.signal.aborted ? reasonOf(source.signal) : error;
  }
}

async function open(place: Place, source: SourceContext<Settings>): Promise<Duplex> {
  const stream = await source.host.connect(place.address, source.signal);
  if (place.tlsName === undefined) return stream;
  try {
    const name = place.tlsName;
    return await whileOpening(source, { stream, title: place.title }, () => secured(stream, name, source.settings.tls));
  } catch (cause) {
    if (cause instanceof HoldfastError) throw cause;
    throw new HoldfastError({
      code: 'host.unreachable',
      message: `no TLS connection to ${place.title}: ${messageOf(cause)}`,
      remedy:
        'Check that the server speaks TLS on this port, and that tls.ca holds the certificate of who signed its own.',
      cause,
    });
  }
}

async function secured(stream: Duplex, name: string, files: Settings['tls']): Promise<TLSSocket> {
  const read = async (path: string | undefined) => (path === undefined ? undefined : await readFile(path));
  const [ca, cert, key] = await Promise.all([read(files.ca), read(files.certificate), read(files.key)]);
  // A name for SNI must not be an address; an address is checked against the certificate all the same.
  const servername = /^[\d.]+$|:/.test(name) ? {} : { servername: name };
  const socket = connectTls({ socket: stream, ca, cert, key, host: name, ...servername });
  await new Promise<void>((resolve, reject) => {
    const closed = (): void => reject(new Error('the server closed the connection'));
    socket.once('error', reject).once('close', closed);
    socket.once('secureConnect', () => {
      socket.off('error', reject).off('close', closed);
      resolve();
    });
  });
  return socket;
}

async function signIn(connection: Connection, place: Place, source: SourceContext<Settings>): Promise<void> {
  const { password } = source.settings;
  if (password !== undefined) {
    const secret = (await source.secret(password, `source ${source.name}`)).reveal();
    const reply = await connection.call('AUTH', ...(place.user === undefined ? [] : [place.user]), secret);
    if (reply instanceof ErrorReply) throw refusal(place, 'AUTH', reply);
  }
  const reply = await connection.call('PING');
  if (reply instanceof ErrorReply && reply.kind !== 'NOPERM') throw refusal(place, 'PING', reply);
}

/** What to tell the operator about a refusal. */
export function refusal(place: Pick<Place, 'title' | 'user'>, command: string, reply: ErrorReply): HoldfastError {
  const { title, user = 'default' } = place;
  const known = reasons.find(({ fits }) => fits.test(reply.message));
  const { why, remedy, retry, code } = known ?? { why: reply.message, remedy: 'Look at the log of the server.' };
  return new HoldfastError({
    code: code ?? 'source.unreadable',
    message: `${title} refuses ${command}: ${why}`,
    remedy: remedy.replaceAll('{user}', user),
    retry,
    context: { reply: reply.message.slice(0, 300) },
  });
}

interface Reason {
  readonly fits: RegExp;
  readonly why: string;
  readonly remedy: string;
  readonly retry?: 'later';
  readonly code?: 'source.unsupported' | 'source.busy' | 'restore.target-invalid';
}

const reasons: readonly Reason[] = [
  {
    fits: /^NOAUTH|^NOPERM.*auth|operation not permitted/i,
    why: 'it wants a password',
    remedy: 'Set «password» (and the user in the URL) of the source.',
  },
  {
    fits: /^WRONGPASS|invalid password|invalid username-password/i,
    why: 'the user or password is wrong, or the user is disabled',
    remedy: 'Check «password» and the user in the URL of the source.',
  },
  {
    fits: /without any password configured/i,
    why: 'it has no password, but one is given',
    remedy: 'Remove «password» from the source, or protect the server with requirepass or an ACL.',
  },
  {
    fits: /^NOPERM/,
    why: 'the user may not run it',
    remedy:
      'Grant it on the server: ACL SETUSER {user} +psync +replconf +ping +info (a restore needs more, see the docs).',
  },
  {
    fits: /^NOMASTERLINK/,
    why: 'it is a replica that has no connection to its primary',
    remedy: 'Wait until the replica has caught up, or back up the primary.',
    retry: 'later',
    code: 'source.busy',
  },
  {
    fits: /^LOADING/,
    why: 'it is still loading its data',
    remedy: 'Try again when it has started.',
    retry: 'later',
    code: 'source.busy',
  },
  {
    fits: /^DENIED/,
    why: 'it is in protected mode and lets only its own machine in',
    remedy: 'Give it a password, or reach it through its own machine with «host:».',
  },
  {
    fits: /DB index is out of range/i,
    why: 'it has too few databases for this data',
    remedy: 'Raise «databases» of the server, or restore the keys of other databases with --include.',
    code: 'restore.target-invalid',
  },
  {
    fits: /unknown command/i,
    why: 'it does not know the command',
    remedy:
      'Managed services often forbid replication: use their own snapshots there. On a server of yours, look for rename-command in its configuration.',
    code: 'source.unsupported',
  },
];
