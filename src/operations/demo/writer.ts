/** The bank as a process of its own, as an application would be. */
import { HoldfastError } from '../../base/errors.ts';
import type { Host, HostProcess } from '../../hosts/host.ts';

const program = new URL('./bank.ts', import.meta.url).pathname;

export interface Audit {
  readonly total: number;
  readonly transfers: number;
  readonly expected: number;
}

type Run = Host['run'];

function command(...args: readonly string[]): string[] {
  return [process.execPath, '--disable-warning=ExperimentalWarning', program, ...args];
}

export async function openBank(run: Run, file: string, signal: AbortSignal): Promise<void> {
  await finished(await run({ argv: command('open', file), signal }));
}

export async function auditBank(run: Run, file: string, signal: AbortSignal): Promise<Audit> {
  return JSON.parse(await finished(await run({ argv: command('audit', file), signal }))) as Audit;
}

/** Transfers go on until it is disposed. */
export class Writer implements AsyncDisposable {
  /** Transfers committed so far, as far as it said. */
  transfers = 0;
  #ended = false;
  readonly #process: HostProcess;
  readonly #reading: Promise<void>;

  private constructor(process: HostProcess) {
    this.#process = process;
    this.#reading = this.#read();
  }

  static async start(run: Run, file: string): Promise<Writer> {
    return new Writer(await run({ argv: command('run', file) }));
  }

  /** Throws if the bank is not running any more: then the demonstration shows nothing. */
  async assertRunning(): Promise<void> {
    if (!this.#ended) return;
    const { stderr } = await this.#process.exit;
    throw failed(stderr);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // It may have ended by itself, or with the whole process group.
    await this.#process.endInput().catch(() => undefined);
    await this.#reading;
    await this.#process.exit;
  }

  async #read(): Promise<void> {
    let text = '';
    for await (const part of this.#process.stdout) {
      const lines = (text + Buffer.from(part).toString()).split('\n');
      text = lines.pop() ?? '';
      if (lines.length > 0) this.transfers = Number(lines.at(-1));
    }
    this.#ended = true;
  }
}

async function finished(process: HostProcess): Promise<string> {
  await process.endInput();
  const parts: Uint8Array[] = [];
  for await (const part of process.stdout) parts.push(Uint8Array.from(part));
  const { status, stderr } = await process.exit;
  if (status !== 0) throw failed(stderr);
  return Buffer.concat(parts).toString();
}

function failed(stderr: string): HoldfastError {
  return new HoldfastError({
    code: 'host.command-failed',
    message: `the demonstration's database ended: ${stderr.trim().split('\n').at(-1) ?? ''}`,
    remedy: 'Check that the temporary directory has some 200 MB of room.',
  });
}
