/**
 * A running `rclone serve restic --stdio`. It ends when its input does, so it does not outlive this process however that ends;
 * it has a process group of its own, so that a Ctrl-C of the terminal leaves it alive until locks are removed.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { delimiter, join } from 'node:path';
import type { Clock } from '../../../base/clock.ts';
import { HoldfastError, systemCode } from '../../../base/errors.ts';
import { redactUrl } from '../../open.ts';

export interface Launch {
  readonly program: string;
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** For messages. */
  readonly place: string;
}

export interface Program {
  /** Its input and output. */
  readonly socket: Socket;
  /** When it ended, and what its status was; a signal's name if that ended it. */
  readonly exit: Promise<number | string>;
  /** The last line it complained with, about `subject` if one is; without its date. */
  complaint(subject?: string): string | undefined;
  /** Resolves when it is gone: asked to end, then told, then killed. */
  end(): Promise<void>;
}

/** What of its messages is kept. */
const keptBytes = 16 * 1024;
/** How long it may take to end by itself, and after SIGTERM. */
const graceMs = 3000;

/** Its input and output are one socket, which spawn gives as a number only: the shell puts it in both places. */
const bothWays = 'exec "$0" "$@" <&3 >&3 3>&-';

/** `host.command-missing` if there is no such program. */
export async function startProgram(launch: Launch, clock: Clock): Promise<Program> {
  const program = await findProgram(launch);
  const child = spawn('/bin/sh', ['-c', bothWays, program, ...launch.argv], {
    env: { ...launch.env },
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const exit = new Promise<number | string>((resolve) => {
    child.once('exit', (status, signal) => resolve(status ?? signal ?? 'unknown'));
  });
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-keptBytes);
  });
  await started(child, program);
  const socket = child.stdio[3] as Socket;
  // Whoever uses it hears of errors by the session over it.
  socket.on('error', () => {});
  return { socket, exit, complaint: (subject) => complaintIn(said, subject), end: () => end(child, exit, clock) };
}

/** As the shell would. */
async function findProgram({ program, env }: Launch): Promise<string> {
  const folders = program.includes('/') ? [''] : (env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  for (const folder of folders) {
    const path = join(folder, program);
    const found = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return folder === '' ? program : path;
  }
  throw new HoldfastError({
    code: 'host.command-missing',
    message: `the program ${program} was not found`,
    remedy: 'Install rclone (https://rclone.org/install), or name it in rclone.program of the repository.',
  });
}

async function started(child: ChildProcess, program: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (cause) => reject(startFailure(program, cause)));
  });
}

function startFailure(program: string, cause: Error): HoldfastError {
  return new HoldfastError({
    code: 'host.command-failed',
    message: `the program ${program} could not be started: ${systemCode(cause) ?? cause.message}`,
    remedy: 'Check that /bin/sh is there, and that the machine has processes and memory left.',
    cause,
  });
}

async function end(child: ChildProcess, exit: Promise<number | string>, clock: Clock): Promise<void> {
  (child.stdio[3] as Socket).destroy();
  const over = new AbortController();
  const gone = exit.then(() => over.abort());
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    const late = await clock.sleep(graceMs, { signal: over.signal }).then(
      () => true,
      () => false,
    );
    if (!late) break;
    child.kill(signal);
  }
  await gone;
  child.stderr?.destroy();
}

/** `2026/11/21 10:00:00 ERROR : data/ab…: Post request put error: …` */
function complaintIn(said: string, subject: string | undefined): string | undefined {
  const lines = said.split('\n').filter((line) => /\b(?:ERROR|CRITICAL|Failed|Fatal|Error:)/.test(line));
  const about = subject === undefined ? lines : lines.filter((line) => line.includes(subject));
  const line = about.at(-1) ?? (subject === undefined ? undefined : lines.at(-1));
  if (line === undefined) return undefined;
  const words = line
    .replace(/^[\d/]+ [\d:.]+ /, '')
    .replace(/^(?:ERROR|CRITICAL|NOTICE) *: */, '')
    .replace(/^\S+: Post request \w+ error: /, '');
  // The end says what is wrong; before it stand paths.
  return redactUrl(words.trim()).replace(/^.*(?=.{180}$)/, (cut) => (cut === '' ? '' : '...'));
}
