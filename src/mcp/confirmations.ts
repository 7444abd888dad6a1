/**
 * Guards actions: the first call tells what would be done and gets a token; the second brings the token with exactly the same
 * input. A token is for one caller, one tool, one input and one use, and soon too old: what was agreed to is what is done.
 */
import { createHash, randomBytes } from 'node:crypto';
import type { Clock } from '../base/clock.ts';
import { HoldfastError } from '../base/errors.ts';

export const confirmationLifeMs = 300_000;
const mostWaiting = 1000;

interface Waiting {
  readonly bound: string;
  readonly expiresAtMs: number;
}

/** What a token is bound to. */
export interface Intent {
  readonly principal: string;
  readonly tool: string;
  /** Without the token. */
  readonly input: unknown;
}

export class Confirmations {
  readonly #waiting = new Map<string, Waiting>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  issue(intent: Intent): { readonly token: string; readonly expiresAtMs: number } {
    this.#forgetOld();
    const token = randomBytes(18).toString('base64url');
    const expiresAtMs = this.#clock.nowMs() + confirmationLifeMs;
    this.#waiting.set(hashed(token), { bound: boundOf(intent), expiresAtMs });
    return { token, expiresAtMs };
  }

  /** It is used up, whether it fits or not. `request.invalid` if it does not. */
  redeem(token: string, intent: Intent): void {
    const key = hashed(token);
    const waiting = this.#waiting.get(key);
    this.#waiting.delete(key);
    if (!waiting) throw refused('is not known, or was used already');
    if (waiting.expiresAtMs <= this.#clock.nowMs()) throw refused('is too old');
    if (waiting.bound !== boundOf(intent)) throw refused('was given for something else');
  }

  /** Oldest first: they are in the order they were issued in. */
  #forgetOld(): void {
    for (const [key, { expiresAtMs }] of this.#waiting) {
      if (expiresAtMs > this.#clock.nowMs() && this.#waiting.size < mostWaiting) return;
      this.#waiting.delete(key);
    }
  }
}

function refused(why: string): HoldfastError {
  return new HoldfastError({
    code: 'request.invalid',
    message: `the confirmation ${why}`,
    remedy: 'Call the tool without a confirmation: it says what would be done and gives a new one.',
  });
}

function boundOf({ principal, tool, input }: Intent): string {
  return hashed(JSON.stringify([principal, tool, canonical(input)]));
}

/** The order of keys says nothing, and what is absent and what is undefined are the same. */
function canonical(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(canonical);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([, one]) => one !== undefined);
  return entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, one]) => [key, canonical(one)]);
}

function hashed(text: string): string {
  return createHash('sha256').update(text).digest('base64');
}
