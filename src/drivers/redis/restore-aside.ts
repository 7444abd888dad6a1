/**
 * Databases in which keys are loaded while what is there stays: empty ones are found, change places with those they are loaded
 * for, and are emptied again where it does not come to that. Nothing that others wrote is ever emptied.
 */
import { HoldfastError } from '../../base/errors.ts';
import type { RestoreRequest, SourceContext } from '../driver.ts';
import { connect } from './connect.ts';
import type { RestorePlan } from './restore-plan.ts';
import { accepted, mustBeOk, type Target } from './restore-target.ts';
import type { Settings } from './settings.ts';

/** What is known of databases that keys are loaded into beside others. */
export interface Aside {
  /** The one to load into, by the one that the keys are for. */
  readonly places: ReadonlyMap<number, number>;
  /** How many keys were sent to each place so far: no more of what it holds is ours. */
  readonly sent: Map<number, number>;
}

interface Within {
  readonly source: SourceContext<Settings>;
  readonly request: RestoreRequest;
  readonly target: Target;
  readonly aside: Aside;
}

/** An empty database for each that holds keys; neither the data nor the server's own keys may need it. */
export async function chooseAside(target: Target, plan: RestorePlan, request: RestoreRequest): Promise<Aside> {
  const places = new Map<number, number>();
  const free = emptyDatabases(target, plan);
  for (const index of plan.databases.keys()) {
    if (!target.keys.has(index)) continue;
    const { value: place } = await free.next();
    if (place === undefined) throw noRoom(target, index, request);
    places.set(index, place);
  }
  return { places, sent: new Map() };
}

export function nothingAside(): Aside {
  return { places: new Map(), sent: new Map() };
}

/** The highest first. Each is asked: who may not run INFO has no list of those that hold keys. */
async function* emptyDatabases(target: Target, plan: RestorePlan): AsyncGenerator<number, undefined> {
  for (let index = target.databases - 1; index >= 0; index--) {
    if (target.keys.has(index) || plan.databases.has(index)) continue;
    // Refused: there are fewer than was thought, or it is not for this user.
    if ((await target.connection.call('SELECT', index)) !== 'OK') continue;
    if (Number(await accepted(target, 'DBSIZE')) === 0) yield index;
  }
}

function noRoom({ title, keys, databases }: Target, index: number, { overwrite }: RestoreRequest): HoldfastError {
  const flush = overwrite
    ? `empty database ${index} yourself with FLUSHDB`
    : `keep a copy by backing ${title} up, then empty database ${index} with FLUSHDB`;
  return new HoldfastError({
    code: 'restore.target-exists',
    message: `database ${index} of ${title} holds ${keys.get(index)} keys, and none of its ${databases} databases is empty to load the others beside them`,
    remedy: `Raise «databases» of the server, or ${flush}; or restore chosen keys with --include, or into another server or a directory.`,
  });
}

/** What was loaded beside is of no use if it is not complete. Never rejects: what is left is reported. */
export async function clearAside(within: Within, error: unknown): Promise<void> {
  const { source, target, aside } = within;
  if (aside.places.size === 0) return;
  const left: number[] = [];
  for (const index of aside.places.values()) {
    if (isTaken(error) || !(await empty(within, index).catch(() => false))) left.push(index);
  }
  if (left.length === 0) return;
  source.report({
    type: 'warning',
    code: 'restore.failed',
    message: `database(s) ${left.join(', ')} of ${target.title} may hold a part of the restored keys, and may hold keys of others: look, and FLUSHDB there if they do not`,
  });
}

/** A key was there already in a database that had been empty: somebody else writes to it. */
function isTaken(error: unknown): boolean {
  return error instanceof HoldfastError && String(error.context.reply).startsWith('BUSYKEY');
}

/** False if it holds more than was sent there. */
async function empty({ source, target, aside }: Within, index: number): Promise<boolean> {
  // A connection of its own: replies to what was sent ahead are still to come on the other.
  await using connection = await connect({ ...source, signal: new AbortController().signal });
  const there = { ...target, connection };
  await mustBeOk(there, 'SELECT', index);
  if (Number(await accepted(there, 'DBSIZE')) > (aside.sent.get(index) ?? 0)) return false;
  await mustBeOk(there, 'FLUSHDB');
  return true;
}

/** Each in one step. An error says which databases hold what by then. */
export async function changePlaces(within: Within): Promise<void> {
  const { source, request, target, aside } = within;
  const done: number[] = [];
  try {
    for (const [index, place] of aside.places) {
      await mustBeOk(target, 'SWAPDB', index, place);
      done.push(index);
    }
    if (request.overwrite) await removeOld(within);
  } catch (error) {
    if (done.length === 0 && isRefused(error)) await clearAside(within, error);
    throw withState(error, within, done);
  }
  if (request.overwrite) return;
  for (const [index, place] of aside.places) {
    source.report({ type: 'note', message: keptAside(target, index, place) });
  }
}

async function removeOld({ target, aside }: Within): Promise<void> {
  for (const place of aside.places.values()) {
    await mustBeOk(target, 'SELECT', place);
    await mustBeOk(target, 'FLUSHDB');
  }
}

function isRefused(error: unknown): boolean {
  return error instanceof HoldfastError && error.context.reply !== undefined;
}

function withState(error: unknown, { aside }: Within, done: readonly number[]): unknown {
  if (!(error instanceof HoldfastError)) return error;
  const { code, message, remedy, retry, context, cause } = error;
  const wasRefused = isRefused(error);
  const isCleared = done.length === 0 && wasRefused;
  const states = [...aside.places].map(([index, place], i) => {
    if (i < done.length) return `database ${index} is restored, and what was there is in ${place} unless it is removed`;
    if (i === done.length && !wasRefused) return `whether database ${index} was swapped with ${place} is not known`;
    return `database ${index} is as it was${isCleared ? '' : `, and its restored keys are in ${place}`}`;
  });
  return new HoldfastError({
    ...{ code, remedy, retry, context, cause },
    message: [message, ...states].join('; '),
  });
}

export function keptAside({ keys }: Target, index: number, place: number): string {
  return `what was in database ${index} (${count(keys.get(index)!)}) is kept in database ${place}: FLUSHDB there when it is not needed`;
}

export function count(keys: number): string {
  return keys === 1 ? '1 key' : `${keys} keys`;
}
