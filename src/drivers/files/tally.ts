/** What a backup of files could not read: told at once, counted for the end. */
import { hasCode, messageOf } from '../../base/errors.ts';
import { printableName } from '../../base/names.ts';
import type { Report } from '../../model/run.ts';

export class Tally {
  readonly #report: Report;
  readonly #notes: string[] = [];
  #unreadable = 0;
  #vanished = 0;
  #first = '';

  constructor(report: Report) {
    this.#report = report;
  }

  /** Something is not in the snapshot, or not all of it. */
  skipped(path: string, error: unknown): void {
    const code = hasCode(error, 'source.missing') ? 'source.missing' : 'source.unreadable';
    if (code === 'source.missing') this.#vanished++;
    else {
      this.#unreadable++;
      this.#first ||= messageOf(error);
    }
    this.#report({ type: 'warning', code, message: messageOf(error), subject: printableName(path) });
  }

  note(message: string): void {
    this.#notes.push(message);
  }

  notes(): string[] {
    const notes = [...this.#notes];
    if (this.#unreadable > 0) notes.push(`${things(this.#unreadable)} could not be read, the first: ${this.#first}`);
    if (this.#vanished > 0) notes.push(`${things(this.#vanished)} vanished while the source was read`);
    return notes;
  }
}

function things(count: number): string {
  return count === 1 ? 'one file or directory' : `${count} files or directories`;
}
