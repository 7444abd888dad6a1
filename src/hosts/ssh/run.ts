/** Programs on the host. */
import { randomBytes } from 'node:crypto';
import type { ClientChannel } from 'ssh2';
import { HoldfastError, reasonOf, throwIfCancelled } from '../../base/errors.ts';
import { printableName } from '../../base/names.ts';
import type { Links, Session } from '../../protocols/ssh/links.ts';
import type { HostCommand, HostProcess } from '../host.ts';
import { ByteQueue } from './byte-queue.ts';
import { killScript } from './kill-tree.ts';
import { wrapperCommand, wrapperInput } from './wrapper.ts';

/** What of the last output on stderr is kept. */
const stderrBytes = 64 * 1024;
/** Output that arrived and was not read; beyond it, ssh2 holds another 2 MiB at most. */
const queueBytes = 1 << 20;
/** What a login shell may print before the program's own output begins. */
const mostPreamble = 64 * 1024;

type Exit = Awaited<HostProcess['exit']>;

/**
 * Starts a program. `host.command-missing` if there is none of that name, `host.unreachable` if the connection is lost,
 * which also reading its output and `exit` end with: a stream that was cut never looks like one that ended.
 */
export async function runThere(links: Links, host: string, command: HostCommand): Promise<HostProcess> {
  throwIfCancelled(command.signal);
  const token = randomBytes(16).toString('hex');
  const input = wrapperInput(token, command);
  const session = await links.session((link) => link.exec(wrapperCommand), command.signal);
  const running = new FarProcess({ links, host, command, session, token });
  await running.start(input);
  return running;
}

interface Parts {
  readonly links: Links;
  readonly host: string;
  readonly command: HostCommand;
  readonly session: Session;
  readonly token: string;
}

class FarProcess implements HostProcess {
  readonly exit: Promise<Exit>;
  readonly #parts: Parts;
  readonly #channel: ClientChannel;
  readonly #output: ByteQueue;
  #stderr: Buffer[] = [];
  #stderrLength = 0;
  readonly #writes = new Set<() => void>();
  #ended: Omit<Exit, 'stderr'> | undefined;
  #closed = false;
  #killed = false;
  /** The process's id, and when it was born. */
  #id = '';
  #started: ((word: string | undefined) => void) | undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
    const channel = parts.session.channel;
    this.#channel = channel;
    this.#output = new ByteQueue(queueBytes, () => channel.resume());
    channel.on('exit', (status: number | null, signal?: string) => {
      this.#ended = { status, signal: signal?.replace(/@.*/, '') ?? null };
      this.#failWrites();
    });
    channel.on('error', () => {}); // reading, writing and `exit` report it
    const forget = parts.session.link.onLost((reason) => this.#cutOff(reason));
    channel.once('close', forget);
    this.exit = this.#whenOver();
    // who waits for it sees it; who does not sees the same at the end of the output
    this.exit.catch(() => {});
  }

  get stdout(): AsyncIterable<Uint8Array> {
    return { [Symbol.asyncIterator]: () => this.#chunks() };
  }

  /** Hands the program over and waits for its process id. Nothing ran if this throws. */
  async start(input: string): Promise<void> {
    const { token, command } = this.#parts;
    if (command.signal?.aborted) {
      // what waits for its input there ends without having run anything; the session counts until its streams were read
      this.#channel.close();
      this.#channel.resume();
      this.#channel.stderr.resume();
      throwIfCancelled(command.signal);
    }
    const abort = (): void => this.kill();
    command.signal?.addEventListener('abort', abort, { once: true });
    this.exit.finally(() => command.signal?.removeEventListener('abort', abort)).catch(() => {});
    let preamble = '';
    const word = new Promise<string | undefined>((resolve) => {
      this.#started = resolve;
    });
    this.#readStderr(token);
    this.#readStdout(token, (text) => {
      preamble = text;
    });
    this.#channel.write(input);
    const said = await word;
    if (said !== undefined && /^\d/.test(said)) {
      this.#id = said.trim();
      if (this.#killed) void this.#killTree();
      return;
    }
    this.#channel.close();
    this.#output.discard(undefined);
    throw this.#parts.session.link.lost ?? this.#notStarted(said, preamble);
  }

  async write(bytes: Uint8Array | string): Promise<void> {
    if (this.#closed || this.#ended) throw this.#inputFailure();
    await new Promise<void>((resolve, reject) => {
      const fail = (): void => reject(this.#inputFailure());
      this.#writes.add(fail);
      this.#channel.write(bytes, (error) => {
        this.#writes.delete(fail);
        if (error) fail();
        else resolve();
      });
    });
  }

  async endInput(): Promise<void> {
    if (this.#closed || this.#ended) return;
    await new Promise<void>((resolve) => {
      this.#writes.add(resolve);
      this.#channel.end(() => resolve());
    });
  }

  kill(): void {
    if (this.#killed || this.#closed) return;
    this.#killed = true;
    this.#output.discard(reasonOf(this.#parts.command.signal));
    this.#channel.resume();
    if (this.#id !== '') void this.#killTree();
  }

  async #killTree(): Promise<void> {
    const { links, host } = this.#parts;
    try {
      const killer = await runThere(links, host, { argv: ['/bin/sh', '-c', killScript, 'sh', ...this.#id.split(' ')] });
      await killer.endInput();
      await killer.exit;
    } catch {
      // nothing reaches the host: what ends then is this end of the streams, which `exit` tells
      this.#channel.close();
    }
  }

  /** A stream that was cut must not look like one that ended. */
  async *#chunks(): AsyncGenerator<Uint8Array> {
    let whole = false;
    try {
      for (;;) {
        const chunk = await this.#output.next();
        if (!chunk) break;
        yield chunk;
      }
      whole = true;
    } finally {
      if (!whole) this.kill();
    }
    throwIfCancelled(this.#parts.command.signal);
  }

  #readStdout(token: string, early: (text: string) => void): void {
    let before: Buffer | undefined = Buffer.alloc(0);
    const mark = Buffer.from(`${token}\n`);
    this.#channel.on('data', (chunk: Buffer) => {
      let rest = chunk;
      if (before) {
        before = Buffer.concat([before, chunk]);
        const at = before.indexOf(mark);
        if (at < 0) {
          early(before.toString('utf8'));
          if (before.length > mostPreamble) this.#channel.close();
          return;
        }
        rest = before.subarray(at + mark.length);
        before = undefined;
      }
      if (this.#killed) return;
      this.#output.push(rest);
      if (this.#output.full) this.#channel.pause();
    });
    this.#channel.on('end', () => {
      // a connection that is lost ends its streams too
      this.#output.end(this.#parts.session.link.lost);
    });
  }

  #readStderr(token: string): void {
    let before: Buffer | undefined = Buffer.alloc(0);
    const line = new RegExp(`${token} ([\\w ]+)\n`);
    this.#channel.stderr.on('data', (chunk: Buffer) => {
      if (!before) return this.#keepStderr(chunk);
      before = Buffer.concat([before, chunk]).subarray(-mostPreamble);
      const found = line.exec(before.toString('latin1'));
      if (!found) return;
      this.#keepStderr(before.subarray(found.index + found[0].length));
      before = undefined;
      this.#started?.(found[1]);
    });
    const none = (): void => {
      if (before) this.#keepStderr(before);
      before = undefined;
      this.#started?.(undefined);
    };
    this.#channel.stderr.on('end', none);
    this.#channel.on('close', none);
  }

  #keepStderr(chunk: Buffer): void {
    this.#stderr.push(chunk);
    this.#stderrLength += chunk.length;
    if (this.#stderrLength <= 2 * stderrBytes) return;
    this.#stderr = [Buffer.concat(this.#stderr).subarray(-stderrBytes)];
    this.#stderrLength = stderrBytes;
  }

  async #whenOver(): Promise<Exit> {
    const channel = this.#channel;
    const stderrOver = new Promise<void>((resolve) => channel.stderr.once('close', resolve));
    await new Promise<void>((resolve) => channel.once('close', resolve));
    this.#closed = true;
    this.#failWrites();
    this.#output.end(this.#ended ? undefined : this.#cut());
    await stderrOver;
    await this.#output.drained();
    if (!this.#ended) throw this.#cut();
    return { ...this.#ended, stderr: this.#stderrText() };
  }

  /** Whoever waits to write need not wait until somebody reads the output to its end. */
  #failWrites(): void {
    for (const fail of this.#writes) fail();
    this.#writes.clear();
  }

  #cutOff(reason: HoldfastError): void {
    this.#failWrites();
    if (this.#ended) return; // the end of its output says whether all of that came
    this.#output.end(reason);
    this.#channel.resume();
    if (this.#killed || this.#id === '') return;
    // sshd tells the program nothing: it would go on for as long as it neither reads nor writes
    this.#killed = true;
    void this.#killTree();
  }

  #stderrText(): string {
    return Buffer.concat(this.#stderr).subarray(-stderrBytes).toString('utf8');
  }

  #cut(): HoldfastError {
    const { session, host, command } = this.#parts;
    return (
      session.link.lost ??
      new HoldfastError({
        code: 'host.unreachable',
        message: `host ${host} ended the session of ${command.argv[0]} without saying how the program ended`,
        remedy: "See the server's log; run it again.",
        retry: 'later',
      })
    );
  }

  #inputFailure(): HoldfastError {
    const { session, command } = this.#parts;
    return (
      session.link.lost ??
      new HoldfastError({
        code: 'host.command-failed',
        message: `${command.argv[0]} ended without reading its input to the end`,
        remedy: 'Its exit status and its output on stderr say why.',
      })
    );
  }

  #notStarted(word: string | undefined, preamble: string): HoldfastError {
    const { host, command } = this.#parts;
    const [program] = command.argv;
    if (word === 'missing' || word === 'directory') {
      const what =
        word === 'missing' ? `the program ${program} was not found` : `the directory ${command.cwd} is missing`;
      return new HoldfastError({
        code: 'host.command-missing',
        message: `${what} on host ${host}`,
        remedy:
          word === 'missing'
            ? `Install ${program} there, or add the directory it is in to the PATH that a command over SSH gets there.`
            : 'Check the path on that machine and that the user may enter it.',
      });
    }
    const printed = `${preamble}\n${this.#stderrText()}`.trim().split('\n').at(-1)?.slice(0, 300);
    return new HoldfastError({
      code: 'host.command-failed',
      message: `host ${host} runs no programs for this user${printed ? `: it says «${printableName(printed)}»` : ''}`,
      remedy: 'The user needs a shell there, and no forced command. For files alone, SFTP is enough.',
    });
  }
}
