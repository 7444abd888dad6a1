/**
 * The connections of one host. Usually there is one, shared by all; another is made when the sessions the server allows on
 * one are in use, so that whoever waits for one program while another runs (a dump within a held transaction, the end of a
 * program that is killed) does not wait for ever. A connection that was lost is replaced by the next who needs one.
 */
import type { ClientChannel } from 'ssh2';
import type { Clock } from '../../base/clock.ts';
import { HoldfastError, hasCode, messageOf, throwIfCancelled } from '../../base/errors.ts';
import { type Link, SessionRefused } from './link.ts';

/** Beyond this, sessions wait for one another. */
const mostLinks = 8;
/** OpenSSH's own default for MaxSessions; lowered when the server refuses one. */
const usualSessions = 10;
/** A server may need a moment to clear a session away that has just ended. */
const refusals = { most: 5, waitMs: 100 };

export interface Session {
  readonly channel: ClientChannel;
  readonly link: Link;
}

interface Tries {
  refused: number;
  lost: number;
}

export class Links {
  readonly #connect: (signal?: AbortSignal) => Promise<Link>;
  readonly #clock: Clock;
  readonly #name: string;
  /** Sessions at once on each connection. */
  #limit = usualSessions;
  #links: Link[] = [];
  #opening: Promise<Link> | undefined;
  #waiting: (() => void)[] = [];
  #closed = false;

  constructor(parts: { name: string; connect: (signal?: AbortSignal) => Promise<Link>; clock: Clock }) {
    this.#name = parts.name;
    this.#connect = parts.connect;
    this.#clock = parts.clock;
  }

  /** A connection that stands; sessions are not counted here, for what needs none. */
  async any(signal?: AbortSignal): Promise<Link> {
    return this.#alive()[0] ?? (await this.#open(signal));
  }

  /**
   * Opens a session: `start` asks for it. Tried again only as long as the server refused it or the connection was lost
   * before it was there. The caller has it until its channel is closed.
   */
  async session(start: (link: Link) => Promise<ClientChannel>, signal?: AbortSignal): Promise<Session> {
    const tries: Tries = { refused: 0, lost: 0 };
    for (;;) {
      throwIfCancelled(signal);
      const link = await this.#withRoom(signal);
      link.used++;
      try {
        const channel = await start(link);
        channel.once('close', () => this.#release(link));
        return { channel, link };
      } catch (error) {
        this.#release(link);
        await this.#beforeNextTry(link, error, tries, signal);
      }
    }
  }

  close(): void {
    this.#closed = true;
    for (const link of this.#links) link.close();
    this.#links = [];
    this.#wake();
  }

  /** Throws if trying again is no use. */
  async #beforeNextTry(link: Link, error: unknown, tries: Tries, signal: AbortSignal | undefined): Promise<void> {
    if (error instanceof SessionRefused && link.used > 0) {
      this.#limit = Math.min(this.#limit, link.used); // so that is what this server allows
    } else if (error instanceof SessionRefused) {
      if (tries.refused++ >= refusals.most) throw this.#noSession(error);
      await this.#clock.sleep(refusals.waitMs, { signal });
    } else if (!link.lost || tries.lost++ > 0) {
      throw error instanceof HoldfastError ? error : this.#noSession(error);
    }
  }

  async #withRoom(signal: AbortSignal | undefined): Promise<Link> {
    for (;;) {
      const alive = this.#alive();
      const roomy = alive.find((link) => link.used < this.#limit);
      if (roomy) return roomy;
      if (alive.length < mostLinks) await this.#open(signal);
      else await this.#change(signal);
    }
  }

  #alive(): Link[] {
    this.#links = this.#links.filter((link) => !link.lost);
    return this.#links;
  }

  /** One at a time: who comes meanwhile shares it. An abort of who came first is no failure for who shares. */
  async #open(signal: AbortSignal | undefined): Promise<Link> {
    for (;;) {
      throwIfCancelled(signal);
      if (this.#closed) throw this.#noSession('it was closed');
      if (!this.#opening) return await this.#begin(signal);
      const shared = await this.#opening.catch((error: unknown) => {
        if (!hasCode(error, 'cancelled')) throw error;
        return undefined;
      });
      if (shared) return shared;
    }
  }

  async #begin(signal: AbortSignal | undefined): Promise<Link> {
    this.#opening = this.#connect(signal);
    try {
      const link = await this.#opening;
      if (this.#closed) link.close();
      else this.#links.push(link);
      return link;
    } finally {
      this.#opening = undefined;
      this.#wake();
    }
  }

  #release(link: Link): void {
    link.used--;
    this.#wake();
  }

  #wake(): void {
    for (const go of this.#waiting.splice(0)) go();
  }

  async #change(signal: AbortSignal | undefined): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const stop = (): void => resolve();
    this.#waiting.push(stop);
    signal?.addEventListener('abort', stop, { once: true });
    await promise;
    signal?.removeEventListener('abort', stop);
    throwIfCancelled(signal);
  }

  #noSession(cause: unknown): HoldfastError {
    return new HoldfastError({
      code: 'host.unreachable',
      message: `host ${this.#name} opens no session: ${messageOf(cause)}`,
      remedy: "Check the server's log, and MaxSessions and the user's rights in its sshd_config.",
      retry: 'later',
      cause,
    });
  }
}
