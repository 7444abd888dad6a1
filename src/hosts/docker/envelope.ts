/**
 * What a program prints in a container comes between two marks, which a shell around it prints: the first says its process
 * id, the last that its output is whole. Without the last mark a connection that was cut could not be told from a program
 * that ended, for the engine may know an exit status of 0 of a program whose output nobody received.
 */
import { indexOfMark } from './mark.ts';

/** Run as `sh -c script sh TOKEN PROGRAM ARGUMENTS…`. The subshell's `exec` starts a program also where the shell has a word of that name. */
export const envelopeScript = `t=$1; shift
command -v "$1" >/dev/null 2>&1 || { printf '%s missing\\n' "$t"; exit 127; }
printf '%s %s\\n' "$t" "$$"
(exec "$@")
s=$?
printf '\\034%s.' "$t"
exit $s`;

/**
 * Takes the marks out of a stream. What may be the start of the last mark is held back until it is known, or released: the mark
 * starts with a byte that texts and the messages of protocols hardly ever end with, so that a conversation is not held up.
 */
export class EnvelopeReader {
  readonly #token: Buffer;
  readonly #end: Buffer;
  #held: Buffer = Buffer.alloc(0);
  /** What the first mark said: the process id in the container, or `missing`. */
  hello: string | undefined;
  /** The last mark was seen. */
  complete = false;

  constructor(token: string) {
    this.#token = Buffer.from(token);
    this.#end = Buffer.from(`\x1c${token}.`);
  }

  /** The program's own bytes among these. */
  push(bytes: Buffer): Buffer[] {
    const all = this.#held.length === 0 ? bytes : Buffer.concat([this.#held, bytes]);
    if (this.hello === undefined) return this.#greeting(all);
    if (this.complete) return [all];
    return this.#until(all);
  }

  get isHolding(): boolean {
    return this.#held.length > 0 && this.hello !== undefined;
  }

  /** What is held back: nothing came after it. If it was the mark's start after all, the mark is never seen and the stream not complete. */
  release(): Buffer {
    const held = this.#held;
    this.#held = Buffer.alloc(0);
    return held;
  }

  #greeting(all: Buffer): Buffer[] {
    const newline = all.indexOf(10);
    const longest = this.#token.length + 20;
    if (newline < 0 && all.length < longest) {
      this.#held = all;
      return [];
    }
    const line = all.subarray(0, Math.max(newline, 0));
    const isOurs = line.subarray(0, this.#token.length).equals(this.#token);
    this.#held = Buffer.alloc(0);
    this.hello = isOurs ? line.toString('latin1', this.#token.length + 1) : '';
    return isOurs ? this.push(all.subarray(newline + 1)) : [all];
  }

  #until(all: Buffer): Buffer[] {
    const { at, whole } = indexOfMark(all, this.#end);
    const before = all.subarray(0, at);
    if (whole) {
      this.complete = true;
      this.#held = Buffer.alloc(0);
      // something the program left running may still print
      const after = all.subarray(at + this.#end.length);
      return [before, after].filter((part) => part.length > 0);
    }
    this.#held = Buffer.from(all.subarray(at));
    return before.length > 0 ? [before] : [];
  }
}
