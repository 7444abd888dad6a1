/** What the functions of sign-in and rights work with, and how they refuse. */
import type { Transaction } from 'kysely';
import type { Clock } from '../base/clock.ts';
import { HoldfastError } from '../base/errors.ts';
import type { Secret } from '../base/secrets.ts';
import type { Catalogue } from '../catalogue/open.ts';
import type { Tables } from '../catalogue/tables.ts';
import type { Principal } from '../model/principal.ts';

export interface AuthUses {
  readonly catalogue: Catalogue;
  readonly clock: Clock;
}

/** Who does it, and from where. */
export interface Asker {
  readonly principal: Principal;
  readonly address?: string;
}

/** Where somebody signs in from, as sessions and the audit log name it. */
export interface Origin {
  /** The client's address, behind trusted proxies the one they name. */
  readonly address: string;
  /** What its program calls itself (User-Agent). */
  readonly agent: string;
  /** What the cookie held before: that session ends when a new one begins. */
  readonly replaces?: Secret;
}

/** Seals what has to be read again (secrets of one-time codes) with the server's key. */
export interface Sealing {
  /** `purpose`: what it is for; the same has to be given to open it. */
  seal(clear: Secret, purpose: string): string;
  /** `secret.unavailable` if it was sealed with another key or for another purpose. */
  open(sealed: string, purpose: string): Secret;
}

/** As the audit log names who did it: somebody at the machine's command line is no account, whatever they are called. */
export function actorOf({ kind, name }: Principal): string {
  return kind === 'local' ? `local:${name}` : name;
}

export type Transacting = Transaction<Tables>;

/**
 * Runs `work` in a transaction while nobody else, on any server, changes accounts: its first statement writes one row that
 * all of them write. Within it only `db` may be used.
 */
export async function exclusively<T>({ catalogue }: AuthUses, work: (db: Transacting) => Promise<T>): Promise<T> {
  return await catalogue.db.transaction().execute(async (db) => {
    await db
      .insertInto('lease')
      .values({ name: 'accounts', holder: '', fence: 0, untilMs: 0 })
      .onConflict((conflict) => conflict.column('name').doUpdateSet((eb) => ({ fence: eb('lease.fence', '+', 1) })))
      .execute();
    return await work(db);
  });
}

/** One message for everything that may be wrong with a sign-in: nothing is to be learned from it. */
export function refused(message: string, remedy: string): HoldfastError {
  return new HoldfastError({ code: 'auth.refused', message, remedy });
}

export function forbidden(message: string, remedy: string): HoldfastError {
  return new HoldfastError({ code: 'auth.forbidden', message, remedy });
}

export function unknownUser(name: string): HoldfastError {
  return new HoldfastError({
    code: 'user.unknown',
    message: `there is no user «${name}»`,
    remedy: 'See: holdfast user list',
  });
}
