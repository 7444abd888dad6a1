/** One SSH connection: many channels over one TCP connection. */
import type { Duplex } from 'node:stream';
import ssh2, { type Client, type ClientChannel, type ServerHostKeyAlgorithm } from 'ssh2';
import { cancelled, HoldfastError, messageOf, throwIfCancelled } from '../../base/errors.ts';

import type { Endpoint } from '../connect-locally.ts';
import { type SshAddress, showAddress } from './address.ts';
import type { Credentials } from './credentials.ts';
import type { ExpectedKey } from './host-key.ts';

/** Silence after which a peer is asked whether it is there, and how often before it counts as gone: a minute in all. */
const keepalive = { keepaliveInterval: 15_000, keepaliveCountMax: 3 };
const handshakeMs = 30_000;
/** In order of preference; SHA-1 signatures are not taken. */
const hostKeyAlgorithms: readonly ServerHostKeyAlgorithm[] = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'rsa-sha2-512',
  'rsa-sha2-256',
];

export interface LinkParts {
  /** The host's name in the configuration. */
  readonly name: string;
  readonly address: SshAddress;
  readonly credentials: Credentials;
  readonly expected: ExpectedKey;
  /** Connected to the server already. */
  readonly socket: Duplex;
  readonly signal?: AbortSignal;
}

/** A session that the server did not open: nothing was started. */
export class SessionRefused extends Error {}

export class Link {
  /** Sessions in use or being opened. Kept by who opens them. */
  used = 0;
  readonly #client: Client;
  readonly #socket: Duplex;
  readonly #name: string;
  readonly #address: SshAddress;
  #lost: HoldfastError | undefined;
  readonly #whenLost = new Set<(reason: HoldfastError) => void>();
  #closing = false;

  private constructor({ name, address, socket }: LinkParts) {
    this.#client = new ssh2.Client();
    this.#socket = socket;
    this.#name = name;
    this.#address = address;
    // before the client's own listeners: whoever sees a stream end has to know already whether it was cut
    socket.on('error', (cause) => this.#lose(cause));
    socket.on('end', () => this.#lose());
    socket.on('close', () => this.#lose());
  }

  /** Handshake and sign-in. `host.unreachable` for whatever is in the way. */
  static async open(parts: LinkParts): Promise<Link> {
    throwIfCancelled(parts.signal);
    const link = new Link(parts);
    const abort = (): void => void parts.socket.destroy();
    parts.signal?.addEventListener('abort', abort, { once: true });
    try {
      await link.#signIn(parts);
      link.#client.setNoDelay(true);
      return link;
    } catch (error) {
      parts.socket.destroy();
      if (parts.signal?.aborted) throw cancelled(parts.signal.reason);
      throw error;
    } finally {
      parts.signal?.removeEventListener('abort', abort);
    }
  }

  /** The reason why nothing goes through any more. It is known before the streams over this connection end. */
  get lost(): HoldfastError | undefined {
    return this.#lost;
  }

  /** Called once when the connection is lost, until the function that is returned is called. */
  onLost(act: (reason: HoldfastError) => void): () => void {
    this.#whenLost.add(act);
    return () => void this.#whenLost.delete(act);
  }

  /** Starts a command in a session of its own. `SessionRefused` if there is no room for one. */
  exec(command: string): Promise<ClientChannel> {
    return this.#session('programs', (done) => this.#client.exec(command, done));
  }

  subsystem(name: string): Promise<ClientChannel> {
    return this.#session('files', (done) => this.#client.subsys(name, done));
  }

  /** Has the server connect to an address as it sees it. */
  async forward(address: Endpoint): Promise<ClientChannel> {
    if (this.#lost) throw this.#lost;
    try {
      return await new Promise<ClientChannel>((resolve, reject) => {
        const done = (error: Error | undefined, channel: ClientChannel): void =>
          error ? reject(error) : resolve(channel);
        if ('socketPath' in address) this.#client.openssh_forwardOutStreamLocal(address.socketPath, done);
        else this.#client.forwardOut('127.0.0.1', 0, address.host, address.port, done);
      });
    } catch (cause) {
      throw this.#lost ?? forwardFailure(this.#name, address, cause);
    }
  }

  close(): void {
    this.#closing = true;
    this.#client.end();
    this.#socket.destroy();
  }

  #session(
    what: 'programs' | 'files',
    start: (done: (error: Error | undefined, channel: ClientChannel) => void) => void,
  ): Promise<ClientChannel> {
    return new Promise((resolve, reject) => {
      if (this.#lost) return reject(this.#lost);
      start((error, channel) => {
        if (!error) return resolve(channel);
        const failure = 'reason' in error ? new SessionRefused(error.message) : denied(this.#name, what, error);
        reject(this.#lost ?? failure);
      });
    });
  }

  async #signIn(parts: LinkParts): Promise<void> {
    const { expected, credentials, address } = parts;
    let wrongKey: HoldfastError | undefined;
    let agentFailure: Error | undefined;
    const preferred = hostKeyAlgorithms.filter((one) => expected.algorithms.includes(one));
    const failure = await new Promise<Error | undefined>((resolve) => {
      this.#client.on('ready', () => resolve(undefined));
      this.#client.on('error', (error: Error & { level?: string }) => {
        if (error.level === 'agent') agentFailure = error;
        else resolve(error);
        if (error.level !== 'agent') this.#lose(error);
      });
      this.#client.on('close', () => resolve(this.#lost));
      this.#client.connect({
        ...keepalive,
        username: address.user,
        sock: parts.socket,
        readyTimeout: handshakeMs,
        algorithms: { serverHostKey: [...new Set([...preferred, ...hostKeyAlgorithms])] },
        authHandler: credentials.methods(address.user),
        hostVerifier: (key: Buffer): boolean => {
          wrongKey = expected.check(key);
          return wrongKey === undefined;
        },
      });
    });
    if (wrongKey) throw wrongKey;
    if (failure) throw signInFailure(parts, failure, agentFailure);
  }

  #lose(cause?: unknown): void {
    // with half-open sockets nobody else does, and channels end only when it is closed
    this.#socket.destroy();
    if (this.#lost) return;
    const where = `${showAddress(this.#address)} (host ${this.#name})`;
    this.#lost = new HoldfastError({
      code: 'host.unreachable',
      message: this.#closing
        ? `the connection to ${where} was closed`
        : `the connection to ${where} was lost${cause === undefined ? '' : `: ${messageOf(cause)}`}`,
      remedy: 'Check the network and the server; run it again when it is back.',
      retry: 'later',
      cause,
    });
    for (const act of this.#whenLost) act(this.#lost);
    this.#whenLost.clear();
  }
}

function signInFailure(
  { name, address, credentials }: LinkParts,
  failure: Error & { level?: string },
  agentFailure: Error | undefined,
): HoldfastError {
  const where = `${showAddress(address)} (host ${name})`;
  if (failure.level === 'client-authentication') {
    const agent = agentFailure ? `; the agent did not answer: ${agentFailure.message}` : '';
    return new HoldfastError({
      code: 'host.unreachable',
      message: `the server at ${where} does not let ${address.user} sign in with ${credentials.title}${agent}`,
      remedy: `Check the user, and that the public key is in ~${address.user}/.ssh/authorized_keys or the password is right. The server's log says why it refused.`,
      cause: failure,
    });
  }
  if (failure instanceof HoldfastError) return failure;
  return new HoldfastError({
    code: 'host.unreachable',
    message: `no SSH connection to ${where}: ${failure.message}`,
    remedy: 'Check that an SSH server listens at this address and port, and its log.',
    retry: 'later',
    cause: failure,
  });
}

/** A session was opened, but not for this. */
function denied(name: string, what: 'programs' | 'files', cause: Error): HoldfastError {
  return new HoldfastError({
    code: what === 'programs' ? 'host.command-failed' : 'host.command-missing',
    message: `host ${name} ${what === 'programs' ? 'runs no programs for this user' : 'transfers no files'}: ${cause.message}`,
    remedy:
      what === 'programs'
        ? 'For files alone, SFTP is enough; for anything else the user needs a shell there.'
        : 'Enable «Subsystem sftp internal-sftp» in its sshd_config.',
    cause,
  });
}

function forwardFailure(name: string, address: Endpoint, cause: unknown): HoldfastError {
  const where = 'socketPath' in address ? `the socket ${address.socketPath}` : `${address.host}:${address.port}`;
  return new HoldfastError({
    code: 'host.unreachable',
    message: `${where} cannot be reached from host ${name}: ${messageOf(cause)}`,
    remedy:
      "Check the address as the host sees it, that the server runs and listens there, and that the host's sshd allows it (AllowTcpForwarding, AllowStreamLocalForwarding, PermitOpen).",
    retry: 'later',
    cause,
  });
}
