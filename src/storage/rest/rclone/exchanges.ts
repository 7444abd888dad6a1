/**
 * Exchanges with an rclone of our own. It is started with the first one, and again when it died; what it says on the way to
 * its log is what an answer without words, or none at all, is explained with.
 */
import type { Socket } from 'node:net';
import type { Clock } from '../../../base/clock.ts';
import { HoldfastError, throwIfCancelled } from '../../../base/errors.ts';
import type { HttpExchanges, HttpReply, HttpRequest } from '../../../protocols/http/exchange.ts';
import { SocketExchanges } from '../../../protocols/http/exchange-over-socket.ts';
import { type Launch, type Program, startProgram } from './program.ts';

export interface RcloneParts {
  readonly launch: Launch;
  readonly most: number;
  readonly silenceMs: number;
  readonly clock: Clock;
}

/** How long the end of a program may lag behind the end of its output. */
const momentMs = 2000;

export class RcloneExchanges implements HttpExchanges {
  readonly #launch: Launch;
  readonly #clock: Clock;
  readonly #exchanges: SocketExchanges;
  #program: Program | undefined;
  /** It answered: so its remote and its settings are right. */
  #answered = false;
  #closed = false;

  constructor({ launch, most, silenceMs, clock }: RcloneParts) {
    this.#launch = launch;
    this.#clock = clock;
    this.#exchanges = new SocketExchanges({ dial: () => this.#start(), most, silenceMs });
  }

  async exchange(asked: HttpRequest): Promise<HttpReply> {
    if (this.#closed) throw over(this.#launch.place);
    let reply: HttpReply;
    try {
      reply = await this.#exchanges.exchange(asked);
    } catch (error) {
      throwIfCancelled(asked.signal);
      throw (await this.#ended()) ?? error;
    }
    this.#answered = true;
    return reply.status < 500 ? reply : await this.#explained(reply, asked.path);
  }

  /** Resolves when rclone is gone. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#exchanges.close();
    await this.#program?.end();
  }

  async #start(): Promise<Socket> {
    await this.#program?.end();
    if (this.#closed) throw over(this.#launch.place);
    const program = await startProgram(this.#launch, this.#clock);
    this.#program = program;
    return program.socket;
  }

  /** Why there was no answer, if it is because rclone ended. */
  async #ended(): Promise<HoldfastError | undefined> {
    const program = this.#program;
    if (!program) return undefined;
    const late = new AbortController();
    const waiting = this.#clock.sleep(momentMs, { signal: late.signal }).catch(() => undefined);
    const status = await Promise.race([program.exit, waiting]);
    late.abort();
    if (status === undefined) return undefined;
    const why = program.complaint() ?? `it ended with ${status}`;
    return new HoldfastError({
      code: 'storage.unreachable',
      message: `rclone ended while ${this.#launch.place} was used: ${why}`,
      remedy: remedyOf(why),
      retry: this.#answered ? 'later' : 'never',
    });
  }

  /** The protocol's 500 has no words; rclone's log has them, about the object or in general. */
  async #explained(reply: HttpReply, path: string): Promise<HttpReply> {
    // Its log comes another way than its answer.
    await this.#clock.sleep(10);
    const subject = path.split('/').at(-1);
    const words = this.#program?.complaint(subject === '' ? undefined : subject);
    return words === undefined ? reply : { ...reply, body: Buffer.from(words, 'utf8') };
  }
}

function remedyOf(why: string): string {
  if (/didn't find section|not found in config|config file/i.test(why)) {
    return 'Check the name of the remote with rclone listremotes, and rclone.config: the file it is in.';
  }
  if (/decrypt|RCLONE_CONFIG_PASS|config.*password/i.test(why))
    return 'Give rclone.configPassword: its file is encrypted.';
  if (/unknown (?:flag|shorthand|command)/i.test(why))
    return 'This rclone is too old, or rclone.options has an option it does not know.';
  return 'Run rclone lsd with this remote by hand, as the same user, to see what it needs.';
}

function over(place: string): HoldfastError {
  return new HoldfastError({
    code: 'internal',
    message: `${place} was used after it was closed`,
    remedy: 'Report this as a fault of Holdfast.',
  });
}
