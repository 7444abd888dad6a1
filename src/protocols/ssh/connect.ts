/** Byte streams to what listens on the host, or is reachable from it. */
import { Duplex } from 'node:stream';
import type { ClientChannel } from 'ssh2';
import { reasonOf, throwIfCancelled } from '../../base/errors.ts';
import type { Endpoint } from '../connect-locally.ts';
import type { Link } from './link.ts';
import type { Links } from './links.ts';

/** `host.unreachable`; `cancelled` if the signal was aborted first. Aborting later does not touch the stream. */
export async function connectThere(links: Links, address: Endpoint, signal?: AbortSignal): Promise<Duplex> {
  throwIfCancelled(signal);
  const link = await links.any(signal);
  const opening = link.forward(address);
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => aborted.reject(reasonOf(signal));
  signal?.addEventListener('abort', abort, { once: true });
  try {
    return new ForwardedStream(await Promise.race([opening, aborted.promise]), link);
  } catch (error) {
    opening.then(
      (channel) => channel.close(),
      () => {},
    );
    throw error;
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}

/**
 * A channel as an ordinary stream: it is destroyed with an error when the connection is lost (ssh2's own ends then as if
 * the other side had finished), and its writes fail instead of waiting for ever once the other side is gone.
 */
class ForwardedStream extends Duplex {
  readonly #channel: ClientChannel;
  #write: ((error: Error) => void) | undefined;

  constructor(channel: ClientChannel, link: Link) {
    super({ allowHalfOpen: true });
    this.#channel = channel;
    channel.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) channel.pause();
    });
    channel.on('error', (error: Error) => this.destroy(error));
    const forget = link.onLost((reason) => this.destroy(reason));
    channel.on('end', () => {
      if (!link.lost) this.push(null);
    });
    channel.on('close', () => {
      forget();
      if (!link.lost && !this.writableFinished) this.#gone();
    });
  }

  override _read(): void {
    this.#channel.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    if (!this.#channel.writable) {
      done(brokenPipe());
      return;
    }
    this.#write = done;
    this.#channel.write(chunk, (error) => {
      this.#write = undefined;
      done(error);
    });
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#channel.end();
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#channel.close();
    this.#channel.resume();
    done(error);
  }

  /** The other side closed altogether: what is being written goes nowhere. */
  #gone(): void {
    const waiting = this.#write;
    this.#write = undefined;
    if (waiting) waiting(brokenPipe());
    else this.once('end', () => this.end());
  }
}

function brokenPipe(): Error {
  return Object.assign(new Error('the other side has closed the connection'), { code: 'EPIPE' });
}
