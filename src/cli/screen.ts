/**
 * Where a command shows what it does. Results go to stdout, everything on the way to stderr; with `--json` stdout gets one
 * document, or lines for commands that make progress, the last one of type `result` or `error`.
 */
import type { Writable } from 'node:stream';
import type { Clock } from '../base/clock.ts';
import { printableName } from '../base/names.ts';
import type { RunEvent } from '../model/run.ts';
import type { ErrorDescription } from '../operations/describe-error.ts';
import { ProgressLine } from './progress-line.ts';

/** How often a state of progress is shown, in milliseconds. */
const paintMs = 100;
const jsonMs = 1000;
const plainMs = 10_000;

export interface ScreenOptions {
  readonly json: boolean;
  readonly stdout: Writable;
  readonly stderr: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  readonly clock: Clock;
}

export class Screen {
  /** True once a command said that it makes progress: then `--json` means lines. */
  #lines = false;
  readonly #options: ScreenOptions;
  readonly #progress = new ProgressLine();
  #shownAtMs = Number.NEGATIVE_INFINITY;
  #painted = false;

  constructor(options: ScreenOptions) {
    this.#options = options;
    this.report = this.report.bind(this);
  }

  get json(): boolean {
    return this.#options.json;
  }

  get stdout(): Writable {
    return this.#options.stdout;
  }

  makesProgress(): void {
    this.#lines = true;
  }

  report(event: RunEvent): void {
    if (event.type === 'progress') this.#showProgress(event);
    else if (this.json && this.#lines) this.#writeJson(event);
    else this.#showEvent(event);
  }

  #showEvent(event: Exclude<RunEvent, { type: 'progress' }>): void {
    if (event.type === 'note') this.say(`note: ${event.message}`);
    if (event.type === 'warning') this.say(`warning: ${event.message}`);
    if (event.type === 'stage' && this.#options.stderr.isTTY && !this.json) {
      this.#paint([event.stage, event.subject].filter((part) => part !== undefined).join(' · '));
    }
  }

  /** A line for a person, on stderr. */
  say(text: string): void {
    this.#erase();
    this.#options.stderr.write(`${printableLines(text)}\n`);
  }

  /** The outcome: `text` for a person, the document itself for a program. */
  result(document: object, text: string): void {
    this.#erase();
    if (!this.json) this.#options.stdout.write(text === '' ? '' : `${text}\n`);
    else if (this.#lines) this.#writeJson({ type: 'result', ...document });
    else this.#options.stdout.write(`${JSON.stringify(document, undefined, 2)}\n`);
  }

  error(error: ErrorDescription): void {
    this.#erase();
    if (this.json) this.#writeJson({ type: 'error', ...error });
    else this.#options.stderr.write(`holdfast: ${printableLines(error.message)}\n  ${printableLines(error.remedy)}\n`);
  }

  #showProgress(event: Extract<RunEvent, { type: 'progress' }>): void {
    const { stderr, clock } = this.#options;
    const nowMs = clock.monotonicMs();
    const everyMs = this.json ? jsonMs : stderr.isTTY ? paintMs : plainMs;
    if (nowMs - this.#shownAtMs < everyMs) return;
    // The first plain line comes when something takes long, not at once.
    const first = this.#shownAtMs === Number.NEGATIVE_INFINITY;
    this.#shownAtMs = nowMs;
    if (this.json) {
      if (this.#lines) this.#writeJson(event);
    } else if (stderr.isTTY) {
      this.#paint(this.#progress.format(event, nowMs, (stderr.columns || 80) - 1));
    } else {
      const line = this.#progress.format(event, nowMs, 200);
      if (!first) stderr.write(`${line}\n`);
    }
  }

  #paint(text: string): void {
    this.#options.stderr.write(`\r\x1b[K${printableName(text)}`);
    this.#painted = true;
  }

  #erase(): void {
    if (this.#painted) this.#options.stderr.write('\r\x1b[K');
    this.#painted = false;
  }

  #writeJson(document: object): void {
    this.#options.stdout.write(`${JSON.stringify(document)}\n`);
  }
}

/** Several lines, each without control characters. */
function printableLines(text: string): string {
  return text.split('\n').map(printableName).join('\n');
}
