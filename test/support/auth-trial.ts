/** An empty catalogue with a clock that stands still until a test moves it, and people in it. */
import { afterAll, beforeAll, beforeEach, describe, expect } from 'vitest';
import { startSession } from '../../src/auth/access/sessions.ts';
import {
  type Asker,
  type Authenticated,
  type AuthUses,
  addAccount,
  authenticate,
  type Origin,
  reconcileAccounts,
  type Sealing,
  type SignedIn,
  signInWithPassword,
} from '../../src/auth/index.ts';
import { hashPassword } from '../../src/auth/passwords/password-hash.ts';
import { systemClock } from '../../src/base/clock.ts';
import type { ErrorCode } from '../../src/base/errors.ts';
import { Secret } from '../../src/base/secrets.ts';
import type { Catalogue } from '../../src/catalogue/open.ts';
import { localPrincipal, type Role } from '../../src/model/principal.ts';
import { sealingWith } from '../../src/operations/configuration/sealing.ts';
import { type CataloguePlace, cataloguePlaces } from './catalogues.ts';

export const minute = 60_000;
export const hour = 60 * minute;
export const day = 24 * hour;
export const local: Asker = { principal: localPrincipal('cli') };
export const goodPassword = new Secret('correct horse battery');

/** Everything that AUTH keeps, to be emptied and to be searched for secrets. */
export const authTables = [
  'account',
  'membership',
  'identity',
  'passkey',
  'session',
  'flow',
  'token',
  'audit',
  'attempt',
  'workspace',
  'happening',
] as const;

export interface Person {
  readonly userId: string;
  readonly signedIn: SignedIn;
  readonly session: NonNullable<Authenticated['session']>;
  readonly asker: Asker;
}

export interface AuthTrial {
  readonly uses: AuthUses & { readonly sealing: Sealing };
  advance(ms: number): void;
  /** Somebody new with `goodPassword` and roles like `owner` or `shop:operator`. */
  add(name: string, ...roles: string[]): Promise<string>;
  /** The same, signed in by that password a moment ago. */
  person(name: string, ...roles: string[]): Promise<Person>;
  /** By the password; fails if a second factor is asked for. */
  signIn(name: string, origin?: Origin, password?: Secret): Promise<SignedIn>;
  asks(signedIn: SignedIn): Promise<Authenticated>;
}

/** Hashing takes a tenth of a second of the processor: once is enough. */
let goodHash: Promise<string> | undefined;

export function authTrial(catalogue: Catalogue, startMs = Date.UTC(2026, 10, 21, 20, 0, 5)): AuthTrial {
  let nowMs = startMs;
  const sealing = sealingWith(new Secret(Buffer.alloc(32, 7).toString('base64')), 'test');
  const uses = { catalogue, clock: { ...systemClock, nowMs: () => nowMs }, sealing };
  const add = async (name: string, ...roles: string[]) => {
    const given = roles.map((one): [string, Role] => {
      const [workspace, role] = one.includes(':') ? one.split(':') : ['*', one];
      return [workspace, role as Role];
    });
    const { id } = await addAccount({ name, roles: new Map(given) }, local, uses);
    goodHash ??= hashPassword(goodPassword);
    await catalogue.db
      .updateTable('account')
      .set({ passwordHash: await goodHash })
      .where('id', '=', id)
      .execute();
    return id;
  };
  const asks = (signedIn: SignedIn) => authenticate({ session: signedIn.session }, uses);
  return {
    uses,
    advance(ms) {
      nowMs += ms;
    },
    add,
    async person(name, ...roles) {
      const userId = await add(name, ...roles);
      const signedIn = await startSession({ id: userId, name }, 'password', from(), uses);
      const { principal, session } = await asks(signedIn);
      return { userId, signedIn, session: session!, asker: { principal } };
    },
    async signIn(name, origin = from(), password = goodPassword) {
      const outcome = await signInWithPassword({ name, password }, origin, uses);
      if ('flow' in outcome) throw new Error('a second factor is needed');
      return outcome;
    },
    asks,
  };
}

export function from(address = '192.0.2.7', replaces?: Secret): Origin {
  return { address, agent: 'test', ...(replaces === undefined ? {} : { replaces }) };
}

export function failing(code: ErrorCode, message?: RegExp) {
  return expect.objectContaining({ code, ...(message ? { message: expect.stringMatching(message) } : {}) });
}

/** The same tests with SQLite and with PostgreSQL; each begins with nobody, and with the workspace `shop`. */
export function describeAuth(title: string, tests: (trial: () => AuthTrial) => void): void {
  const places = cataloguePlaces.filter((one) => one.title === 'SQLite' || one.title === 'PostgreSQL 15');
  describe.each(places)(`${title} with a catalogue in $title`, ({ make }) => {
    let place: CataloguePlace;
    let catalogue: Catalogue;
    let trial: AuthTrial;
    beforeAll(async () => {
      place = await make();
      catalogue = await place.open();
    });
    afterAll(async () => await place?.[Symbol.asyncDispose]());
    beforeEach(async () => {
      for (const table of authTables) await catalogue.db.deleteFrom(table).execute();
      trial = authTrial(catalogue);
      await reconcileAccounts({ users: [], workspaces: [{ name: 'shop', title: 'Shop' }] }, trial.uses);
    });
    tests(() => trial);
  });
}
