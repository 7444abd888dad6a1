/** The SFTP sessions of one storage: opened when they are needed, again when they broke. */
import type { Duplex } from 'node:stream';
import { HoldfastError, messageOf } from '../../base/errors.ts';
import { SftpClient } from '../../protocols/sftp/client.ts';
import type { Links } from '../../protocols/ssh/links.ts';

interface Session {
  readonly client: Promise<SftpClient>;
  broken: boolean;
  busy: number;
}

/** To the server; its connections are made, and replaced, as they are needed. */
export interface Connection extends Pick<Links, 'session'> {
  close(): void;
}

export interface SessionsParts {
  /** Connects; asked once, and again after it failed. */
  readonly connect: () => Promise<Connection>;
  /** For messages. */
  readonly place: string;
  readonly most: number;
  readonly signal: AbortSignal;
}

export class Sessions {
  readonly #parts: SessionsParts;
  #links: Promise<Connection> | undefined;
  #sessions: Session[] = [];
  #stood = false;
  #closed = false;

  constructor(parts: SessionsParts) {
    this.#parts = parts;
  }

  /** True once a session stood: an address that answered before is worth more patience. */
  get stood(): boolean {
    return this.#stood;
  }

  /** Runs `task` on the least busy session; another is opened as long as all are busy and there may be more. */
  async use<T>(task: (sftp: SftpClient) => Promise<T>): Promise<T> {
    const session = this.#choose();
    session.busy++;
    try {
      const client = await session.client;
      this.#stood = true;
      try {
        return await task(client);
      } catch (error) {
        session.broken ||= client.broken !== undefined;
        throw client.broken && !(error instanceof HoldfastError) ? client.broken : error;
      }
    } finally {
      session.busy--;
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const { client } of this.#sessions.splice(0)) {
      client.then(
        (one) => one.close(),
        () => {}, // it never stood
      );
    }
    const links = await this.#links?.catch(() => undefined);
    links?.close();
  }

  #choose(): Session {
    this.#sessions = this.#sessions.filter(({ broken }) => !broken);
    const idlest = this.#sessions.toSorted((a, b) => a.busy - b.busy)[0];
    if (idlest && (idlest.busy === 0 || this.#sessions.length >= this.#parts.most)) return idlest;
    const session: Session = { client: this.#open(), broken: false, busy: 0 };
    session.client.catch(() => {
      session.broken = true;
    });
    this.#sessions.push(session);
    return session;
  }

  async #open(): Promise<SftpClient> {
    if (this.#closed) throw closed(this.#parts.place);
    this.#links ??= this.#parts.connect().catch((error: unknown) => {
      this.#links = undefined;
      throw error;
    });
    const links = await this.#links;
    const { channel, link } = await links.session((one) => one.subsystem('sftp'), this.#parts.signal);
    try {
      return await SftpClient.open(channel as Duplex, () => link.lost);
    } catch (cause) {
      channel.close();
      throw link.lost ?? noServer(this.#parts.place, cause);
    }
  }
}

function closed(place: string): HoldfastError {
  return new HoldfastError({
    code: 'storage.unreachable',
    message: `the storage ${place} was closed`,
    remedy: 'Open it again.',
  });
}

function noServer(place: string, cause: unknown): HoldfastError {
  return new HoldfastError({
    code: 'storage.unreachable',
    message: `${place}: the server’s SFTP subsystem does not start (${messageOf(cause)})`,
    remedy: 'Enable «Subsystem sftp internal-sftp» in its sshd_config, and see that no login file prints anything.',
    cause,
  });
}
