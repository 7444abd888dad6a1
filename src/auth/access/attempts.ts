/**
 * Limits on guessing, counted in the catalogue: all servers together. An attempt counts before it is judged, so that many
 * at once get no further than one after another; one that succeeds is given back.
 *
 * Per account and address few, per address more, per account from everywhere many: who attacks from one place locks himself
 * out, not the person whose name he uses. Nor does who attacks from many places lock out that person where they have signed
 * in before. Only passwords and codes are limited; a passkey or a provider still lets in.
 */
import { HoldfastError } from '../../base/errors.ts';
import { recordHappening } from '../../catalogue/happenings.ts';
import type { Database } from '../../catalogue/open.ts';
import type { AuthUses } from '../auth-uses.ts';
import { hashOf } from './random-text.ts';

const attemptWindowMs = 15 * 60_000;
const limits = { pair: 10, address: 40 };
/** Of one account from everywhere; codes have a million values only. */
const accountLimit = (what: string): number => (what === 'code' ? 20 : 100);
/** What is merely begun costs a row until it is tidied away; a whole office may share an address. */
const begunPerAddress = 300;
const dayMs = 86_400_000;
/** How long it is known that somebody signed in from a network. */
const knownMs = 90 * dayMs;
const knownPrefix = 'known/';

export interface Attempt {
  /** Where it is counted. */
  readonly keys: readonly string[];
  readonly windowMs: number;
}

/** `what`: what is guessed at (`password`, `code`, …); `account`: whose, as it was given. `auth.limited`. */
export async function countAttempt(
  what: string,
  { account, address }: { readonly account?: string; readonly address: string },
  uses: AuthUses,
): Promise<Attempt> {
  const nowMs = uses.clock.nowMs();
  const windowMs = nowMs - (nowMs % attemptWindowMs);
  const place = networkOf(address);
  // Names are kept as hashes: people type passwords where the name belongs.
  const who = account === undefined ? undefined : whoOf(account);
  const counted: [string, number][] = [
    [`${what}/address/${place}`, what === 'begin' ? begunPerAddress : limits.address],
  ];
  if (who !== undefined) {
    counted.push([`${what}/pair/${who}/${place}`, limits.pair], [`${what}/account/${who}`, accountLimit(what)]);
  }
  for (const [key, limit] of counted) {
    const count = await increase(key, windowMs, uses.catalogue.db);
    if (count === limit + 1) await tell(place, count, uses);
    const isOfAll = key === `${what}/account/${who}`;
    if (count > limit && !(isOfAll && (await isKnown(knownKey(who!, place), uses)))) {
      throw limited(windowMs + attemptWindowMs - nowMs);
    }
  }
  return { keys: counted.map(([key]) => key), windowMs };
}

/** It succeeded and counts for nothing. */
export async function giveBack({ keys, windowMs }: Attempt, { catalogue }: AuthUses): Promise<void> {
  await catalogue.db
    .updateTable('attempt')
    .set((eb) => ({ count: eb('count', '-', 1) }))
    .where('key', 'in', [...keys])
    .where('windowMs', '=', windowMs)
    .where('count', '>', 0)
    .execute();
}

/** Somebody signed in from there. `names`: whatever their attempts are counted by. */
export async function rememberPlace(
  names: readonly string[],
  address: string,
  { clock }: Pick<AuthUses, 'clock'>,
  db: Database,
): Promise<void> {
  const nowMs = clock.nowMs();
  const windowMs = nowMs - (nowMs % dayMs);
  const rows = names.map((name) => ({ key: knownKey(whoOf(name), networkOf(address)), windowMs, count: 1 }));
  await db
    .insertInto('attempt')
    .values(rows)
    .onConflict((conflict) => conflict.columns(['key', 'windowMs']).doNothing())
    .execute();
}

/** Removes what counts no longer. */
export async function tidyAttempts({ catalogue, clock }: AuthUses): Promise<void> {
  const nowMs = clock.nowMs();
  await catalogue.db
    .deleteFrom('attempt')
    .where((eb) =>
      eb.or([
        eb('windowMs', '<', nowMs - knownMs),
        eb.and([eb('windowMs', '<', nowMs - 2 * attemptWindowMs), eb('key', 'not like', `${knownPrefix}%`)]),
      ]),
    )
    .execute();
}

async function isKnown(key: string, { catalogue, clock }: AuthUses): Promise<boolean> {
  const row = await catalogue.db
    .selectFrom('attempt')
    .select('key')
    .where('key', '=', key)
    .where('windowMs', '>=', clock.nowMs() - knownMs)
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

function knownKey(who: string, place: string): string {
  return `${knownPrefix}${who}/${place}`;
}

function whoOf(account: string): string {
  return hashOf(account).slice(0, 32);
}

/** Whoever has an IPv6 network has all addresses of it: those count together. */
export function networkOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped) return mapped[1];
  if (!address.includes(':')) return address;
  const [head, tail] = address.toLowerCase().split('%')[0].split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros =
    tail === undefined ? [] : Array.from({ length: Math.max(0, 8 - left.length - right.length) }, () => '0');
  const groups = [...left, ...zeros, ...right].slice(0, 4).map((group) => group.replace(/^0+(?=.)/, ''));
  return `${groups.join(':')}::/64`;
}

async function increase(key: string, windowMs: number, db: Database): Promise<number> {
  const { count } = await db
    .insertInto('attempt')
    .values({ key, windowMs, count: 1 })
    .onConflict((conflict) =>
      conflict.columns(['key', 'windowMs']).doUpdateSet((eb) => ({ count: eb('attempt.count', '+', 1) })),
    )
    .returning('count')
    .executeTakeFirstOrThrow();
  return count;
}

/** Once for each window: somebody should know. */
async function tell(place: string, attempts: number, { catalogue }: AuthUses): Promise<void> {
  await recordHappening(catalogue, {
    type: 'sign-in.refused',
    title: `many attempts to sign in from ${place} were refused`,
    message: 'Further ones are refused without being looked at until the quarter of an hour is over.',
    remedy: 'If that was none of your people, keep that address out; the audit log has the details.',
    facts: { address: place, attempts },
  });
}

function limited(waitMs: number): HoldfastError {
  const seconds = Math.ceil(waitMs / 1000);
  return new HoldfastError({
    code: 'auth.limited',
    message: 'too many attempts from this address or for this account',
    remedy: `Wait ${Math.ceil(seconds / 60)} minutes, or sign in with a passkey.`,
    retry: 'later',
    context: { retryAfterSeconds: seconds },
  });
}
