/** Programs on this machine. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { type Clock, systemClock } from '../../base/clock.ts';
import { cancelled, HoldfastError, systemCode, throwIfCancelled } from '../../base/errors.ts';
import type { HostCommand, HostProcess } from '../host.ts';

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

/** What of the last output on stderr is kept. */
const stderrBytes = 64 * 1024;
/** How long a program that is told to stop may take to clean up after itself. */
const graceMs = 2000;
/** All that a program gets of this process's environment: the rest may hold secrets. */
const inherited = /^(?:PATH|HOME|USER|LOGNAME|SHELL|LANG|LANGUAGE|LC_[A-Z]+|TZ|TMPDIR|LD_LIBRARY_PATH)$/;

/**
 * Starts a program in a process group of its own. `host.command-missing` if there is no such program. Killing is SIGTERM
 * for the group and every descendant, then SIGKILL when the program ended, at the latest after two seconds.
 */
export async function runLocally(command: HostCommand, clock: Clock = systemClock): Promise<HostProcess> {
  throwIfCancelled(command.signal);
  const [program, ...args] = command.argv;
  const child = spawn(program, args, {
    cwd: command.cwd,
    env: { ...inheritedEnvironment(process.env), ...command.env },
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
  });
  child.stdin.on('error', () => {}); // write() reports it to its caller
  keepOutput(child.stdout);
  await started(child, command);
  const stderr = keepTail(child.stderr);
  const kill = killer(child, clock);
  command.signal?.addEventListener('abort', kill, { once: true });
  if (command.signal?.aborted) kill();
  const exit = new Promise<Awaited<HostProcess['exit']>>((resolve) => {
    child.once('close', (status, signal) => {
      command.signal?.removeEventListener('abort', kill);
      resolve({ status, signal, stderr: stderr() });
    });
  });
  return {
    stdout: wholeOutput(child, command.signal),
    write: (bytes) => write(child.stdin, bytes, program),
    endInput: () => endInput(child.stdin),
    exit,
    kill,
  };
}

function inheritedEnvironment(own: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(own).filter(([name]) => inherited.test(name)));
}

async function started(child: Child, command: HostCommand): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (error) => reject(startFailure(command, error)));
  });
}

function startFailure(command: HostCommand, cause: Error): HoldfastError {
  const [program] = command.argv;
  if (systemCode(cause) === 'ENOENT') {
    return new HoldfastError({
      code: 'host.command-missing',
      message: `the program ${program} was not found${command.cwd ? ` (or the directory ${command.cwd} is missing)` : ''}`,
      remedy: `Install ${program}, or add the directory it is in to PATH.`,
      cause,
    });
  }
  return new HoldfastError({
    code: 'host.command-failed',
    message: `the program ${program} could not be started: ${systemCode(cause) ?? cause.message}`,
    remedy: 'Check that the file may be executed and that the machine has processes and memory left.',
    cause,
  });
}

/**
 * Keeps what was printed until it is read. When a program ends, node drains and discards every output that nobody listens
 * to yet (child_process `flushStdio`); a listener prevents that. It also lets an output that is empty end unread.
 */
function keepOutput(stdout: Readable): void {
  stdout.on('readable', () => {
    if (stdout.readableLength === 0) stdout.read(0);
  });
  stdout.on('error', () => {}); // the loop over stdout throws it
}

/** A stream that was cut by an abort must not look like one that ended. */
async function* wholeOutput(child: Child, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
  for await (const chunk of child.stdout) yield chunk as Uint8Array;
  throwIfCancelled(signal);
}

function keepTail(stream: Readable): () => string {
  let chunks: Buffer[] = [];
  let length = 0;
  stream.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    length += chunk.length;
    if (length <= 2 * stderrBytes) return;
    chunks = [Buffer.concat(chunks).subarray(-stderrBytes)];
    length = stderrBytes;
  });
  return () => Buffer.concat(chunks).subarray(-stderrBytes).toString('utf8');
}

async function write(stdin: Writable, bytes: Uint8Array | string, program: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    stdin.write(bytes, (cause) => (cause ? reject(inputFailure(program, cause)) : resolve()));
  });
}

function inputFailure(program: string, cause: Error): HoldfastError {
  return new HoldfastError({
    code: 'host.command-failed',
    message: `${program} ended without reading its input to the end`,
    remedy: 'Its exit status and its output on stderr say why.',
    cause,
  });
}

/** Settles when the program has what was written, or has ended without wanting it. */
async function endInput(stdin: Writable): Promise<void> {
  if (stdin.destroyed) return;
  await new Promise<void>((resolve) => {
    stdin.once('close', resolve);
    stdin.end();
  });
}

/** Kills once, however often it is called. */
function killer(child: Child, clock: Clock): () => void {
  let done = false;
  child.once('close', () => {
    done = true;
  });
  return () => {
    if (done) return;
    done = true;
    const everyone = [-child.pid!, ...descendants(child.pid!)];
    const ended = new AbortController();
    const finish = (): void => signalAll(everyone, 'SIGKILL');
    child.once('exit', () => {
      ended.abort();
      finish();
    });
    signalAll(everyone, 'SIGTERM');
    child.stdout.destroy(cancelled());
    clock.sleep(graceMs, { signal: ended.signal, background: true }).then(finish, () => {});
  };
}

function signalAll(ids: readonly number[], signal: NodeJS.Signals): void {
  for (const id of ids) {
    try {
      process.kill(id, signal);
    } catch {
      // it ended meanwhile: what was wanted
    }
  }
}

/** Every process below `root`, also those that left its group. */
function descendants(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const parent = parentOf(name);
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const found: number[] = [];
  for (const waiting = [root]; waiting.length > 0; ) {
    const below = children.get(waiting.pop()!) ?? [];
    found.push(...below);
    waiting.push(...below);
  }
  return found;
}

function parentOf(id: string): number | undefined {
  try {
    const stat = readFileSync(`/proc/${id}/stat`, 'latin1');
    // proc_pid_stat(5): the name in parentheses may hold anything; state and parent follow the last one
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return undefined; // ended meanwhile
  }
}
