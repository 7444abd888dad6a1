/**
 * A client's connection that speaks RESP version 2 (redis.io, "Redis serialization protocol specification") over any byte
 * stream, with back-pressure both ways. One reader at a time: commands may be sent ahead of their replies.
 */
import type { Duplex } from 'node:stream';
import { formatBytes, utf8, view } from '../../base/bytes.ts';
import { HoldfastError, messageOf } from '../../base/errors.ts';

/** An error as the server words it: `NOPERM this user has no permissions …`. */
export class ErrorReply {
  readonly message: string;

  constructor(message: string) {
    this.message = message;
  }

  /** Its first word, in capitals: `ERR`, `NOAUTH`, `WRONGTYPE`. */
  get kind(): string {
    return /^[A-Z]+/.exec(this.message)?.[0] ?? 'ERR';
  }
}

/** Simple strings are strings, bulk strings are bytes. */
export type Reply = string | number | Buffer | null | ErrorReply | readonly Reply[];
export type Argument = string | number | Uint8Array;

const lineBytes = 64 * 1024;
const mostReplyBytes = 1 << 30;
const mostDepth = 16;
/** Arguments up to this size are copied into one write. */
const copiedBytes = 16 * 1024;

export class Connection implements AsyncDisposable {
  /** How errors name the server. */
  readonly name: string;
  readonly #stream: Duplex;
  readonly #chunks: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);
  #failure: unknown;
  #reads = 0;
  /** 0, or the number of the read that waits for the server. */
  waitingFor = 0;
  /** True while the server expects a sign of life of its replica now and then; a newline is one. */
  wantsLife = false;

  constructor(stream: Duplex, name: string) {
    this.name = name;
    this.#stream = stream;
    this.#chunks = stream[Symbol.asyncIterator]();
    // Also when nobody reads at that moment.
    stream.on('error', (error) => {
      this.#failure ??= error;
    });
  }

  /** Sends one command; resolves when there is room for another. */
  async send(...parts: readonly Argument[]): Promise<void> {
    for (const bytes of encodeCommand(parts)) await this.write(bytes);
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.#stream.destroyed || this.#stream.writableEnded) throw this.#cut(this.#failure);
    if (this.#stream.write(bytes)) return;
    await new Promise<void>((resolve) => {
      const settle = (): void => {
        for (const event of ['drain', 'close', 'error']) this.#stream.off(event, settle);
        resolve();
      };
      for (const event of ['drain', 'close', 'error']) this.#stream.on(event, settle);
      if (this.#stream.destroyed) settle();
    });
    if (this.#stream.destroyed) throw this.#cut(this.#failure);
  }

  async call(...parts: readonly Argument[]): Promise<Reply> {
    await this.send(...parts);
    return await this.reply();
  }

  /** The next reply. `host.unreachable` when the connection ends before it. */
  async reply(depth = 0): Promise<Reply> {
    const line = await this.line();
    const rest = line.slice(1);
    switch (line[0]) {
      case '+':
        return rest;
      case '-':
        return new ErrorReply(rest);
      case ':':
        return this.#number(rest);
      case '$': {
        const length = this.#number(rest);
        return length < 0 ? null : await this.#bulk(length);
      }
      case '*': {
        const count = this.#number(rest);
        if (depth >= mostDepth) throw this.#nonsense(line);
        if (count < 0) return null;
        const all: Reply[] = [];
        for (let i = 0; i < count; i++) all.push(await this.reply(depth + 1));
        return all;
      }
      default:
        throw this.#nonsense(line);
    }
  }

  /** Up to the next line end, without it. */
  async line(): Promise<string> {
    let from = 0;
    while (true) {
      const end = this.#rest.indexOf('\n', from);
      if (end >= 0) {
        const line = this.#rest.toString('utf8', 0, this.#rest[end - 1] === 0x0d ? end - 1 : end);
        this.#rest = this.#rest.subarray(end + 1);
        return line;
      }
      from = this.#rest.length;
      if (from > lineBytes) throw this.#nonsense(this.#rest.toString('latin1', 0, 40));
      const next = await this.#next();
      if (!next) throw this.#cut(undefined);
      this.#rest = from === 0 ? next : Buffer.concat([this.#rest, next]);
    }
  }

  /** Whatever comes next; `undefined` when the server closed the connection. Throws `host.unreachable` if it broke. */
  async chunk(): Promise<Buffer | undefined> {
    if (this.#rest.length === 0) return await this.#next();
    const rest = this.#rest;
    this.#rest = Buffer.alloc(0);
    return rest;
  }

  /** Ends the connection: whoever waits gets the error. */
  cut(error: HoldfastError): void {
    this.#failure ??= error;
    this.#stream.destroy(error);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stream.destroy();
    if (this.#stream.closed) return;
    await new Promise<void>((resolve) => this.#stream.once('close', resolve));
  }

  async #bulk(length: number): Promise<Buffer> {
    if (length > mostReplyBytes) throw this.#nonsense(`a reply of ${formatBytes(length)}`);
    const wanted = length + 2;
    if (this.#rest.length < wanted) {
      const parts = [this.#rest];
      for (let have = this.#rest.length; have < wanted; ) {
        const next = await this.#next();
        if (!next) throw this.#cut(undefined);
        parts.push(next);
        have += next.length;
      }
      this.#rest = Buffer.concat(parts);
    }
    const bulk = this.#rest.subarray(0, length);
    this.#rest = this.#rest.subarray(wanted);
    return bulk;
  }

  #number(text: string): number {
    if (!/^-?\d+$/.test(text)) throw this.#nonsense(text);
    return Number(text);
  }

  async #next(): Promise<Buffer | undefined> {
    this.waitingFor = ++this.#reads;
    try {
      const next = await this.#chunks.next();
      return next.done ? undefined : next.value;
    } catch (error) {
      throw this.#cut(this.#failure ?? error);
    } finally {
      this.waitingFor = 0;
    }
  }

  #cut(cause: unknown): HoldfastError {
    if (cause instanceof HoldfastError) return cause;
    const why = cause === undefined ? 'closed the connection' : `cannot be reached any more: ${messageOf(cause)}`;
    return new HoldfastError({
      code: 'host.unreachable',
      message: `${this.name} ${why}`,
      remedy: 'Look at the server and its log, and try again.',
      retry: 'later',
      cause,
    });
  }

  #nonsense(what: string): HoldfastError {
    return new HoldfastError({
      code: 'source.unsupported',
      message: `${this.name} does not answer as a Redis or Valkey server does: ${JSON.stringify(what.slice(0, 80))}`,
      remedy: 'Check address and port, and whether the server wants TLS (rediss://).',
    });
  }
}

/** The bytes of a command. Large arguments are not copied. */
export function encodeCommand(parts: readonly Argument[]): Uint8Array[] {
  const all: Uint8Array[] = [];
  let small: Uint8Array[] = [utf8(`*${parts.length}\r\n`)];
  for (const part of parts) {
    const bytes = part instanceof Uint8Array ? part : utf8(String(part));
    small.push(utf8(`$${bytes.byteLength}\r\n`));
    if (bytes.byteLength > copiedBytes) {
      all.push(Buffer.concat(small), bytes);
      small = [];
    } else small.push(bytes);
    small.push(utf8('\r\n'));
  }
  all.push(Buffer.concat(small));
  return all;
}

/** A reply as text: bytes as UTF-8, nothing as an empty text. */
export function replyText(reply: Reply): string {
  if (reply instanceof ErrorReply) return reply.message;
  if (reply instanceof Uint8Array) return view(reply).toString('utf8');
  if (Array.isArray(reply)) return reply.map(replyText).join('\n');
  return reply === null ? '' : String(reply);
}
