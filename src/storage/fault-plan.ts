/** Which calls of a storage go wrong, and how; decided by a seed, so that every failure found can be made again. */
import type { Clock } from '../base/clock.ts';
import type { ErrorCode, Retry } from '../base/errors.ts';
import type { StorageOperation } from './counting.ts';

/** What goes wrong. A kind that means nothing for an operation never strikes it (see `strikes`). */
export type Fault =
  /** The call fails and has no effect. */
  | { readonly kind: 'error-before'; readonly code?: ErrorCode; readonly retry?: Retry }
  /** The call has its effect, then fails: the answer was lost. */
  | { readonly kind: 'error-after'; readonly code?: ErrorCode; readonly retry?: Retry }
  /** A put stores the first part of the body under the final name, then fails: a storage that is not atomic. */
  | { readonly kind: 'torn-failure' }
  /** A put stores the first part of the body and reports success. */
  | { readonly kind: 'torn-success' }
  /** The call begins `delayMs` later, on the plan's clock. */
  | { readonly kind: 'slow'; readonly delayMs: number }
  /** One bit of what is read differs from what is stored. */
  | { readonly kind: 'bit-flip' }
  /** A listing leaves out a share of the objects (0–1, default a half), and at least the first. */
  | { readonly kind: 'short-list'; readonly share?: number };

/**
 * One fault and its trigger. A rule counts the calls it matches, from 1, in the order in which they are made. It strikes
 * the calls whose number is in `calls`, those from number `from` on, and any other with `probability`; at most `times`.
 */
export interface FaultRule {
  readonly fault: Fault;
  /** Default: every operation the fault has a meaning for. */
  readonly operations?: readonly StorageOperation[];
  /** Tested against the object's or folder's name. */
  readonly names?: RegExp;
  readonly calls?: readonly number[];
  readonly from?: number;
  readonly probability?: number;
  readonly times?: number;
}

export interface FaultPlan {
  readonly seed: number;
  readonly rules?: readonly FaultRule[];
  /** Puts fail with `storage.full` when what was put (and not deleted) through this wrapper would exceed it. */
  readonly fullAfterBytes?: number;
  /** For `slow`; default: the system's. */
  readonly clock?: Clock;
}

/** A fault that was injected. */
export interface Injection {
  /** Number of the call among all calls of the wrapper, from 1. */
  readonly call: number;
  readonly operation: StorageOperation;
  readonly name: string;
  readonly kind: Fault['kind'] | 'full';
  /** E.g. `bit 3 of byte 17`. */
  readonly detail: string;
}

/** Pseudo-random numbers in [0, 1), the same for the same seed (mulberry32). */
export type Random = () => number;

export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A fault that strikes a call, with numbers of its own, so that concurrent calls do not change one another's. */
export interface Strike {
  readonly fault: Fault;
  readonly random: Random;
}

export type Judge = (operation: StorageOperation, name: string) => Strike[];

/** Decides for each call, in the order of the calls, which faults strike it. Every rule draws from its own sequence. */
export function judgeOf(plan: FaultPlan): Judge {
  const judges = (plan.rules ?? []).map((rule, at) => ruleJudge(rule, seededRandom(plan.seed + at * 7919)));
  return (operation, name) => judges.flatMap((judge) => judge(operation, name));
}

function ruleJudge(rule: FaultRule, random: Random): Judge {
  let matched = 0;
  let struck = 0;
  return (operation, name) => {
    if (!strikes(rule.fault, operation) || rule.operations?.includes(operation) === false) return [];
    // search, unlike test, keeps no state in a regular expression with the g flag
    if (rule.names && name.search(rule.names) < 0) return [];
    matched++;
    // Drawn for every matching call, so that a trigger by number does not shift the sequence.
    const drawn = random();
    const seed = random() * 2 ** 32;
    const due = rule.calls?.includes(matched) || matched >= (rule.from ?? Infinity) || drawn < (rule.probability ?? 0);
    if (!due || struck >= (rule.times ?? Infinity)) return [];
    struck++;
    return [{ fault: rule.fault, random: seededRandom(seed) }];
  };
}

function strikes(fault: Fault, operation: StorageOperation): boolean {
  switch (fault.kind) {
    case 'torn-failure':
    case 'torn-success':
      return operation === 'put';
    case 'bit-flip':
      return operation === 'get' || operation === 'getInto';
    case 'short-list':
      return operation === 'list';
    default:
      return true;
  }
}
