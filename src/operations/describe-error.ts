/** Anything that was thrown, as faces show it. */
import { type ErrorCode, HoldfastError, messageOf } from '../base/errors.ts';
import { ConfigError, type Problem } from '../config/index.ts';

export interface ErrorDescription {
  readonly code: ErrorCode;
  readonly message: string;
  readonly remedy: string;
  readonly context?: Readonly<Record<string, string | number | boolean>>;
  /** Every problem of a configuration, with its place. */
  readonly problems?: readonly Problem[];
}

export function describeError(error: unknown): ErrorDescription {
  if (!(error instanceof HoldfastError)) {
    const remedy = 'Please report this with the message and what you did (HOLDFAST_DEBUG=1 shows where it happened).';
    return { code: 'internal', message: messageOf(error), remedy };
  }
  const { code, message, remedy, context } = error;
  const facts = Object.keys(context).length > 0 ? { context } : {};
  if (error instanceof ConfigError) return { code, message, remedy, ...facts, problems: error.problems };
  return { code, message, remedy, ...facts };
}

const wrongUse = new Set<ErrorCode>([
  'usage.invalid',
  'config.missing',
  'config.invalid',
  'config.unknown-name',
  'secret.unavailable',
  'driver.unknown',
]);

/** 1 failed · 2 wrong usage or configuration · 130 cancelled (SPEC 8). */
export function exitStatusOf(code: ErrorCode): number {
  if (code === 'cancelled') return 130;
  return wrongUse.has(code) ? 2 : 1;
}
