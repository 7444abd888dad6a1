/** Programs in a container: exec through the engine's API. */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:os';
import type { Duplex } from 'node:stream';
import type Docker from 'dockerode';
import { cancelled, HoldfastError, throwIfCancelled } from '../../base/errors.ts';
import { printableName } from '../../base/names.ts';
import type { HostCommand, HostProcess } from '../host.ts';
import { engineFailure, engineWords, statusOf } from './api.ts';
import type { Container } from './container.ts';
import { envelopeScript } from './envelope.ts';
import { ExecOutput, type OutputEnd } from './exec-output.ts';
import { killInside } from './kill.ts';

/**
 * Podman looks for keys to detach with also where there is no terminal: a piece of input that is nothing but the first key waits for the
 * next, and all of them, one by one, would be swallowed. No program sends this.
 */
const detachKeys = Array(16).fill('ctrl-^').join(',');

/** The HTTP status for a container that is stopped or paused. */
const notRunning = 409;

type Exit = Awaited<HostProcess['exit']>;

/** The engine closes the output a moment before it knows the exit status. */
const statusWaitMs = 10_000;
/** What a program that was killed may take to be gone, before its connection is dropped. */
const killWaitMs = 5_000;

/**
 * Starts a program. `host.command-missing` if there is no such program. Where the container has a shell, killing reaches all
 * that the program started and a cut connection is told from an end; without one, neither is certain, see the README.
 */
export async function runInContainer(container: Container, command: HostCommand): Promise<HostProcess> {
  throwIfCancelled(command.signal);
  mustBeText(command);
  const token = container.hasShell ? randomBytes(16).toString('hex') : undefined;
  const { exec, socket } = await startExec(container, command, token);
  const running = new RunningExec(container, command, exec, socket, token);
  if (token !== undefined) await running.greeted();
  running.obeySignal();
  return running;
}

/** The API takes words as JSON: bytes that are no text would arrive as others. */
function mustBeText({ argv, env = {}, cwd = '' }: HostCommand): void {
  const words = [...argv, ...Object.keys(env), ...Object.values(env), cwd];
  if (words.every((word) => word.isWellFormed() && !word.includes('\0'))) return;
  throw new HoldfastError({
    code: 'host.command-failed',
    message: `${printableName(argv[0])} cannot be given bytes that are no text in a container`,
    remedy: 'Rename what is named so, or leave it out.',
  });
}

async function startExec(
  container: Container,
  command: HostCommand,
  token: string | undefined,
): Promise<{ exec: Docker.Exec; socket: Duplex }> {
  const argv = token === undefined ? command.argv : ['sh', '-c', envelopeScript, 'sh', token, ...command.argv];
  try {
    const exec = await container.docker.exec({
      Cmd: [...argv],
      Env: Object.entries(command.env ?? {}).map(([name, value]) => `${name}=${value}`),
      ...(command.cwd === undefined ? {} : { WorkingDir: command.cwd }),
      ...(container.user === undefined ? {} : { User: container.user }),
      DetachKeys: detachKeys,
      AttachStdin: true,
      AttachStdout: true,
      AttachStderr: true,
    });
    return { exec, socket: await exec.start({ hijack: true, stdin: true }) };
  } catch (error) {
    throw startFailure(container, command, error);
  }
}

function startFailure(container: Container, command: HostCommand, error: unknown): HoldfastError {
  const words = engineWords(error);
  if (isMissing(words)) return missing(container, command, error);
  const failure = engineFailure(container.api, `run ${command.argv[0]} in the container ${container.name}`, error);
  if (![404, notRunning].includes(statusOf(error) ?? 0) && !/not running|state improper/i.test(words)) return failure;
  return new HoldfastError({
    code: 'host.unreachable',
    message: failure.message,
    remedy: `Start the container (docker start ${container.name}).`,
    retry: 'later',
    cause: error,
  });
}

/** How the OCI runtimes (runc, crun) say that there is no such file to run. */
function isMissing(words: string): boolean {
  return /executable file not found|executable file `[^`]*` not found|no such file or directory/i.test(words);
}

function missing(container: Container, command: HostCommand, cause?: unknown): HoldfastError {
  const [program] = command.argv;
  return new HoldfastError({
    code: 'host.command-missing',
    message: `the program ${program} was not found in the container ${container.name}${command.cwd ? ` (or the directory ${command.cwd} is missing)` : ''}`,
    remedy: `Use an image that has ${program}, or run what needs it elsewhere.`,
    cause,
  });
}

class RunningExec implements HostProcess {
  readonly exit: Promise<Exit>;
  readonly #container: Container;
  readonly #command: HostCommand;
  readonly #exec: Docker.Exec;
  readonly #socket: Duplex;
  readonly #output: ExecOutput;
  #processId = '';
  #isKilled = false;
  #isOver = false;
  #killing: Promise<void> = Promise.resolve();

  constructor(
    container: Container,
    command: HostCommand,
    exec: Docker.Exec,
    socket: Duplex,
    token: string | undefined,
  ) {
    this.#container = container;
    this.#command = command;
    this.#exec = exec;
    this.#socket = socket;
    this.#output = new ExecOutput(socket, token, container.clock);
    this.exit = this.#exit();
    this.exit.catch(() => undefined); // the loop over stdout throws it too
  }

  get stdout(): AsyncIterable<Uint8Array> {
    return this.#chunks();
  }

  /** Waits until the program runs; throws what kept it from that. */
  async greeted(): Promise<void> {
    const hello = await this.#output.greeted;
    if (hello !== undefined && /^\d+$/.test(hello)) {
      this.#processId = hello;
      return;
    }
    if (hello === 'missing') throw missing(this.#container, this.#command);
    const { status, stderr } = await this.exit;
    const words = stderr.trim();
    if (isMissing(words)) throw missing(this.#container, this.#command);
    throw new HoldfastError({
      code: 'host.command-failed',
      message: `the program ${this.#command.argv[0]} could not be started in the container ${this.#container.name}: ${words || `status ${status}`}`,
      remedy: 'Check that the container runs, and the user and the directory that were asked for.',
    });
  }

  obeySignal(): void {
    const { signal } = this.#command;
    if (!signal) return;
    const kill = (): void => this.kill();
    signal.addEventListener('abort', kill, { once: true });
    const forget = (): void => signal.removeEventListener('abort', kill);
    this.exit.then(forget, forget);
    if (signal.aborted) kill();
  }

  async write(bytes: Uint8Array | string): Promise<void> {
    if (this.#isOver || this.#socket.destroyed) throw this.#inputFailure();
    await new Promise<void>((resolve, reject) => {
      this.#socket.write(bytes, (cause) => (cause ? reject(this.#inputFailure(cause)) : resolve()));
    });
  }

  /** Closes the program's stdin; what it prints still comes. */
  async endInput(): Promise<void> {
    if (this.#isOver || this.#socket.destroyed || this.#socket.writableEnded) return;
    await new Promise<void>((resolve) => {
      const settled = (): void => {
        this.#socket.off('close', settled);
        resolve();
      };
      this.#socket.once('close', settled);
      this.#socket.end(settled);
    });
  }

  kill(): void {
    if (this.#isKilled || this.#isOver) return;
    this.#isKilled = true;
    this.#output.discard();
    this.#killing = this.#kill();
    this.#killing.catch(() => undefined); // `exit` throws it
  }

  async #kill(): Promise<void> {
    const { clock } = this.#container;
    try {
      await killInside(this.#container, this.#exec, this.#processId);
      const over = new AbortController();
      this.#output.ended.then(() => over.abort()).catch(() => undefined);
      await clock.sleep(killWaitMs, { signal: over.signal, background: true }).catch(() => undefined);
    } finally {
      this.#socket.destroy();
    }
  }

  /** A stream that was cut, by an abort or by a broken connection, must not look like one that ended. */
  async *#chunks(): AsyncGenerator<Uint8Array> {
    let atEnd = false;
    try {
      for (;;) {
        const part = await this.#output.next();
        if (part === undefined) break;
        yield part;
      }
      atEnd = true;
    } finally {
      if (!atEnd) this.kill();
    }
    throwIfCancelled(this.#command.signal);
    if (this.#isKilled) throw cancelled();
    await this.exit;
  }

  async #exit(): Promise<Exit> {
    const end = await this.#output.ended;
    await this.#killing;
    const code = await this.#status(end);
    this.#isOver = true;
    this.#socket.destroy();
    // without a shell around it, that a program could not be started is told as if it had ended
    const neverRan = this.#processId === '' && (code === 126 || code === 127) && !this.#container.hasShell;
    if (neverRan && isMissing(this.#output.stderr())) throw missing(this.#container, this.#command);
    if (!end.whole && !this.#isKilled && code === 0) throw this.#cut(end.error);
    return { ...describeStatus(code, this.#isKilled), stderr: this.#output.stderr() };
  }

  async #status(end: OutputEnd): Promise<number> {
    const { clock, name, api } = this.#container;
    const deadline = clock.monotonicMs() + statusWaitMs;
    for (let waitMs = 5; ; waitMs = Math.min(waitMs * 2, 500)) {
      const { Running, ExitCode } = await this.#exec.inspect().catch((error: unknown) => {
        throw end.whole
          ? engineFailure(api, `tell how ${this.#command.argv[0]} ended in ${name}`, error)
          : this.#cut(end.error ?? error);
      });
      if (!Running && ExitCode !== null) return ExitCode;
      if (!end.whole && !this.#isKilled && end.error !== undefined) throw this.#cut(end.error);
      if (clock.monotonicMs() > deadline) throw this.#cut(end.error);
      await clock.sleep(waitMs);
    }
  }

  #cut(cause: unknown): HoldfastError {
    return new HoldfastError({
      code: 'host.unreachable',
      message: `the connection to ${this.#command.argv[0]} in the container ${this.#container.name} was cut before all of its output had come`,
      remedy: 'Check that the container engine was not restarted; run it again.',
      retry: 'now',
      cause,
    });
  }

  #inputFailure(cause?: unknown): HoldfastError {
    return new HoldfastError({
      code: 'host.command-failed',
      message: `${this.#command.argv[0]} ended without reading its input to the end`,
      remedy: 'Its exit status and its output on stderr say why.',
      cause,
    });
  }
}

const signalNames = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name]));

/** Engines and shells give 128 + n for a program that signal n ended: a program that exits with such a status looks the same. */
function describeStatus(code: number, isKilled: boolean): { status: number | null; signal: string | null } {
  const signal = code > 128 ? signalNames.get(code - 128) : undefined;
  if (signal !== undefined) return { status: null, signal };
  return isKilled ? { status: null, signal: 'SIGKILL' } : { status: code, signal: null };
}
