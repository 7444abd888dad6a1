/**
 * A shell that stays at the far end and runs one small command after the other: what SFTP cannot tell or do (inodes, times
 * to the nanosecond, devices) costs a round trip then, and no session of its own. It only runs programs every system has.
 */
import { randomBytes } from 'node:crypto';
import { cancelled, HoldfastError, messageOf } from '../../base/errors.ts';
import type { HostCommand, HostProcess } from '../host.ts';
import { holePrograms } from './hole-programs.ts';
import { encodeValue } from './wrapper.ts';

/** Reads requests (a count, and that many encoded values) and answers each with its output, a zero byte, the token and its status. */
const loop = `
token=$1
py=$2
pl=$3
value() { IFS= read -r l || exit 0; case $l in =*) v=\${l#=} ;; *) v=$(printf %b/ "\${l#%}"); v=\${v%/} ;; esac; }
names() { for at in "$1"/* "$1"/.*; do printf '%s\\000' "\${at##*/}"; done; }
has() { for p in "$@"; do command -v "$p" && return 0; done; return 1; }
gone() { [ ! -e "$1" ] && [ ! -L "$1" ]; }
xattrs() { find "$1" -mindepth 1 -maxdepth 1 -exec getfattr -h -d -m - -e hex --absolute-names -- {} +; }
holes() { if has perl >&2; then perl -e "$pl" "$@"; else python3 -c "$py" "$@"; fi; }
while IFS= read -r n; do
  set --
  while [ "$n" -gt 0 ]; do value; set -- "$@" "$v"; n=$((n-1)); done
  "$@" </dev/null 2>/dev/null
  printf '\\000%s %s\\000' "$token" "$?"
done
`;

export interface Answer {
  readonly status: number;
  /** All of it is held: a listing of a million entries takes some 200 MB. */
  readonly output: Buffer;
}

interface Asked {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

export class FarShell {
  readonly #run: (command: HostCommand) => Promise<HostProcess>;
  #running: Promise<RunningShell> | undefined;
  #closed = false;

  constructor(run: (command: HostCommand) => Promise<HostProcess>) {
    this.#run = run;
  }

  /** Runs a program, or a function of the loop (`names`, `holes`, …). Several calls may be under way; they run in order. */
  async call(argv: readonly string[]): Promise<Answer> {
    if (this.#closed) throw cancelled();
    const running = this.#running ?? this.#start();
    this.#running = running;
    let shell: RunningShell | undefined;
    try {
      shell = await running;
      if (!shell.over) return await shell.ask(argv);
    } finally {
      // the next who asks starts another
      if ((!shell || shell.over) && this.#running === running) this.#running = undefined;
    }
    return await this.call(argv);
  }

  async close(): Promise<void> {
    this.#closed = true;
    const shell = await this.#running?.catch(() => undefined);
    await shell?.end();
  }

  async #start(): Promise<RunningShell> {
    const token = randomBytes(16).toString('hex');
    const process = await this.#run({
      argv: ['/bin/sh', '-c', loop, 'sh', token, ...holePrograms],
      env: { LC_ALL: 'C' },
    });
    return new RunningShell(process, token);
  }
}

class RunningShell {
  readonly #process: HostProcess;
  readonly #mark: Buffer;
  readonly #asked: Asked[] = [];
  #output: Buffer[] = [];
  #tail: Buffer = Buffer.alloc(0);
  #over: HoldfastError | undefined;

  constructor(process: HostProcess, token: string) {
    this.#process = process;
    this.#mark = Buffer.from(`\0${token} `);
    this.#read().catch((error: unknown) => this.#fail(error));
  }

  /** It answers nothing any more. */
  get over(): boolean {
    return this.#over !== undefined;
  }

  async ask(argv: readonly string[]): Promise<Answer> {
    if (this.#over) throw this.#over;
    const answer = new Promise<Answer>((resolve, reject) => this.#asked.push({ resolve, reject }));
    try {
      await this.#process.write(`${argv.length}\n${argv.map(encodeValue).join('')}`);
    } catch (error) {
      this.#fail(error);
    }
    return await answer;
  }

  /** It ends by itself, when it has done what it was asked. */
  async end(): Promise<void> {
    await this.#process.endInput();
  }

  async #read(): Promise<void> {
    for await (const chunk of this.#process.stdout) {
      this.#tail = Buffer.concat([this.#tail, chunk]);
      while (this.#answer());
      // what cannot be the beginning of a mark is output
      const sure = this.#tail.length - this.#mark.length - 8;
      if (sure <= 0) continue;
      this.#output.push(this.#tail.subarray(0, sure));
      this.#tail = this.#tail.subarray(sure);
    }
    throw new Error((await this.#process.exit).stderr);
  }

  #answer(): boolean {
    const at = this.#tail.indexOf(this.#mark);
    const end = at < 0 ? -1 : this.#tail.indexOf(0, at + this.#mark.length);
    if (end < 0) return false;
    const status = Number(this.#tail.toString('latin1', at + this.#mark.length, end));
    const output = Buffer.concat([...this.#output, this.#tail.subarray(0, at)]);
    this.#output = [];
    this.#tail = this.#tail.subarray(end + 1);
    this.#asked.shift()?.resolve({ status, output });
    return true;
  }

  #fail(cause: unknown): void {
    this.#over ??=
      cause instanceof HoldfastError
        ? cause
        : new HoldfastError({
            code: 'host.unreachable',
            message: `the shell on the host ended: ${messageOf(cause)}`,
            remedy: 'Run it again.',
            retry: 'later',
            cause,
          });
    for (const { reject } of this.#asked.splice(0)) reject(this.#over);
  }
}
