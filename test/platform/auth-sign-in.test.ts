/** Passwords, sessions, limits and second factors: the same tests on SQLite and on PostgreSQL. */
import { TOTP } from 'otpauth';
import { describe, expect, test } from 'vitest';
import {
  beginPasskey,
  beginTotp,
  changePassword,
  confirmTotp,
  endSession,
  endSessionById,
  issuePasswordLink,
  listAccounts,
  listSessions,
  reconcileAccounts,
  renewRecoveryCodes,
  resetTotp,
  setDisabled,
  signInWithPasskey,
  signInWithPassword,
  signInWithSecondFactor,
  tidyAuth,
  usePasswordLink,
} from '../../src/auth/index.ts';
import { Secret } from '../../src/base/secrets.ts';
import { roleIn } from '../../src/model/principal.ts';
import { day, describeAuth, failing, from, goodPassword, hour, local, minute } from '../support/auth-trial.ts';

describeAuth('signing in', (trial) => {
  describe('passwords and sessions', () => {
    test('a name and its password give a session, which says who it is and what they may', async () => {
      await trial().add('Anna', 'viewer', 'shop:operator');
      const { principal, session } = await trial().asks(await trial().signIn(' ANNA '));
      expect(principal).toMatchObject({ kind: 'user', name: 'anna' });
      expect([roleIn(principal), roleIn(principal, 'shop'), roleIn(principal, 'default')]).toEqual([
        'viewer',
        'operator',
        'viewer',
      ]);
      expect(session).toMatchObject({ method: 'password' });
    });

    test('a wrong password, an unknown name, one without password and a disabled one are refused in the same words', async () => {
      await trial().add('anna', 'viewer');
      await trial().add('bob', 'viewer');
      await setDisabled({ name: 'bob', disabled: true }, local, trial().uses);
      await reconcileAccounts({ users: [{ name: 'carl', roles: new Map() }], workspaces: [] }, trial().uses);
      const said = new Set<string>();
      for (const [name, password] of [
        ['anna', 'wrong password'],
        ['nobody', goodPassword.reveal()],
        ['bob', goodPassword.reveal()],
        ['carl', ''],
        ['a\0b', 'x'],
      ]) {
        const error = await trial()
          .signIn(name, from(), new Secret(password))
          .catch((one: unknown) => one);
        expect(error).toEqual(failing('auth.refused'));
        said.add((error as Error).message);
      }
      expect(said.size).toBe(1);
    });

    test('a session ends by itself: unused after a day, in any case after two weeks', async () => {
      await trial().add('anna', 'viewer');
      const idle = await trial().signIn('anna');
      trial().advance(day - minute);
      await trial().asks(idle);
      trial().advance(day - minute);
      await trial().asks(idle);
      trial().advance(day);
      await expect(trial().asks(idle)).rejects.toEqual(failing('auth.required'));
      const busy = await trial().signIn('anna');
      for (let hours = 0; hours < 14 * 24 - 1; hours += 12) {
        await trial().asks(busy);
        trial().advance(12 * hour);
      }
      await expect(trial().asks(busy)).rejects.toEqual(failing('auth.required'));
      await tidyAuth({}, trial().uses);
      expect(await trial().uses.catalogue.db.selectFrom('session').selectAll().execute()).toEqual([]);
    });

    test('signing in again ends the session the browser had: an id that was planted is worth nothing', async () => {
      await trial().add('anna', 'viewer');
      const first = await trial().signIn('anna');
      const second = await trial().signIn('anna', from('192.0.2.7', first.session));
      expect(second.session.reveal()).not.toBe(first.session.reveal());
      await expect(trial().asks(first)).rejects.toEqual(failing('auth.required'));
      await trial().asks(second);
    });

    test('sessions are listed and ended, one’s own only', async () => {
      const anna = await trial().person('anna', 'viewer');
      const bob = await trial().person('bob', 'viewer');
      const other = await trial().signIn('anna', from('198.51.100.9'));
      const listed = await listSessions(anna.userId, trial().uses);
      expect(new Set(listed.map((one) => one.address))).toEqual(new Set(['192.0.2.7', '198.51.100.9']));
      const { session } = await trial().asks(other);
      const end = endSessionById(bob.userId, session!.id, bob.asker, trial().uses);
      await expect(end).rejects.toEqual(failing('user.unknown'));
      await endSessionById(anna.userId, session!.id, anna.asker, trial().uses);
      await expect(trial().asks(other)).rejects.toEqual(failing('auth.required'));
      await endSession(anna.signedIn.session, { name: 'anna' }, trial().uses);
      await expect(trial().asks(anna.signedIn)).rejects.toEqual(failing('auth.required'));
      await trial().asks(bob.signedIn);
    });

    test('a new password needs the one before, ends every other session, and lets in from then on', async () => {
      const anna = await trial().person('anna', 'viewer');
      const other = await trial().signIn('anna');
      const fresh = new Secret('another good phrase');
      const change = { userId: anna.userId, session: anna.session, password: fresh };
      const wrong = changePassword({ ...change, current: new Secret('wrong password') }, '::1', trial().uses);
      await expect(wrong).rejects.toEqual(failing('auth.refused'));
      await expect(changePassword(change, '::1', trial().uses)).rejects.toEqual(failing('auth.refused'));
      await trial().asks(other);
      const weak = changePassword(
        { ...change, current: goodPassword, password: new Secret('short') },
        '::1',
        trial().uses,
      );
      await expect(weak).rejects.toEqual(failing('request.invalid'));
      await changePassword({ ...change, current: goodPassword }, '::1', trial().uses);
      await trial().asks(anna.signedIn);
      await expect(trial().asks(other)).rejects.toEqual(failing('auth.required'));
      await expect(trial().signIn('anna')).rejects.toEqual(failing('auth.refused'));
      await trial().signIn('anna', from(), fresh);
    });

    test('a hash of another cost is made anew at the next sign-in', async () => {
      const { argon2Sync, randomBytes } = await import('node:crypto');
      await trial().add('anna', 'viewer');
      const nonce = randomBytes(16);
      const message = goodPassword.reveal();
      const tag = argon2Sync('argon2id', { message, nonce, memory: 64, passes: 1, parallelism: 1, tagLength: 32 });
      const text = (bytes: Buffer): string => bytes.toString('base64').replace(/=+$/, '');
      const passwordHash = `$argon2id$v=19$m=64,t=1,p=1$${text(nonce)}$${text(tag)}`;
      await trial().uses.catalogue.db.updateTable('account').set({ passwordHash }).execute();
      await trial().signIn('anna');
      const { passwordHash: now } = await trial()
        .uses.catalogue.db.selectFrom('account')
        .selectAll()
        .executeTakeFirstOrThrow();
      expect(now).toMatch(/m=47104,t=2,p=1/);
      await trial().signIn('anna');
    });

    test('a link sets a password once, and a weak one leaves it good', async () => {
      await trial().add('anna', 'viewer');
      const link = await issuePasswordLink('anna', local, trial().uses);
      const password = new Secret('quite another phrase');
      const weak = usePasswordLink({ link, password: new Secret('short') }, '::1', trial().uses);
      await expect(weak).rejects.toEqual(failing('request.invalid'));
      expect(await usePasswordLink({ link, password }, '::1', trial().uses)).toEqual({ name: 'anna' });
      await trial().signIn('anna', from(), password);
      await expect(usePasswordLink({ link, password }, '::1', trial().uses)).rejects.toEqual(failing('auth.refused'));
      const late = await issuePasswordLink('anna', local, trial().uses);
      trial().advance(72 * hour);
      await expect(usePasswordLink({ link: late, password }, '::1', trial().uses)).rejects.toEqual(
        failing('auth.refused'),
      );
    });
  });

  describe('limits on attempts', () => {
    const wrong = new Secret('wrong password');
    const happenings = async () =>
      await trial()
        .uses.catalogue.db.selectFrom('happening')
        .selectAll()
        .where('type', '=', 'sign-in.refused')
        .execute();

    test('after ten wrong passwords from one place even the right one waits a quarter of an hour; other places do not', async () => {
      await trial().add('anna', 'viewer');
      await trial().signIn('anna');
      for (let i = 0; i < 10; i++)
        await expect(trial().signIn('anna', from(), wrong)).rejects.toEqual(failing('auth.refused'));
      const limited = await trial()
        .signIn('anna')
        .catch((error: unknown) => error);
      expect(limited).toEqual(failing('auth.limited'));
      expect(limited).toMatchObject({ retry: 'later', context: { retryAfterSeconds: 895 } });
      await expect(trial().signIn('anna')).rejects.toEqual(failing('auth.limited'));
      expect(await happenings()).toHaveLength(1);
      await trial().signIn('anna', from('198.51.100.1'));
      trial().advance(15 * minute);
      await trial().signIn('anna');
    });

    test('many at once get no further than one after another', async () => {
      await trial().add('anna', 'viewer');
      const outcomes = await Promise.all(
        Array.from({ length: 30 }, () =>
          trial()
            .signIn('anna', from(), wrong)
            .catch((error: { code: string }) => error.code),
        ),
      );
      expect(outcomes.filter((one) => one === 'auth.refused')).toHaveLength(10);
      expect(outcomes.filter((one) => one === 'auth.limited')).toHaveLength(20);
    });

    test('who tries often from one network is kept out, whatever address of it they use', async () => {
      const site = { url: 'https://backup.example' };
      const tryFrom = (address: string) =>
        signInWithPasskey({ flow: wrong, response: {} }, { site, origin: from(address) }, trial().uses);
      for (let i = 1; i <= 40; i++) {
        await expect(tryFrom(`2001:db8:0:7::${i.toString(16)}`)).rejects.toEqual(failing('auth.refused'));
      }
      await expect(tryFrom('2001:db8:0:7:ffff::1')).rejects.toEqual(failing('auth.limited'));
      await expect(tryFrom('2001:db8:0:8::1')).rejects.toEqual(failing('auth.refused'));
      const [told] = await happenings();
      expect(told.title).toContain('2001:db8:0:7::/64');
      trial().advance(hour);
      await tidyAuth({}, trial().uses);
      expect(await trial().uses.catalogue.db.selectFrom('attempt').selectAll().execute()).toEqual([]);
    });
  });

  describe('second factor', () => {
    const enrol = async (name: string) => {
      const who = await trial().person(name, 'viewer');
      const offer = await beginTotp(who, trial().uses);
      const code = (atMs = trial().uses.clock.nowMs()) =>
        new TOTP({ secret: offer.key.reveal() }).generate({ timestamp: atMs });
      const confirm = { userId: who.userId, flow: offer.flow, code: code(), keepSession: who.session.id };
      const { recoveryCodes } = await confirmTotp(confirm, '::1', trial().uses);
      return { ...who, offer, code, recoveryCodes };
    };
    const begin = async (name: string) => {
      const outcome = await signInWithPassword({ name, password: goodPassword }, from(), trial().uses);
      if (!('flow' in outcome)) throw new Error('no second factor was asked for');
      return outcome.flow;
    };

    test('is offered, confirmed by a code, ends other sessions, and is asked for from then on', async () => {
      const before = await trial().person('anna', 'viewer');
      const other = await trial().signIn('anna');
      const offer = await beginTotp(before, trial().uses);
      expect(offer.uri.reveal()).toMatch(/^otpauth:\/\/totp\/Holdfast:anna\?.*secret=[A-Z2-7]{32}/);
      const confirm = { userId: before.userId, flow: offer.flow, keepSession: before.session.id };
      const bad = confirmTotp({ ...confirm, code: '000000' }, '::1', trial().uses);
      await expect(bad).rejects.toEqual(failing('auth.refused'));
      expect((await listAccounts(trial().uses))[0].hasTotp).toBe(false);
      const timestamp = trial().uses.clock.nowMs();
      const code = new TOTP({ secret: offer.key.reveal() }).generate({ timestamp });
      const { recoveryCodes } = await confirmTotp({ ...confirm, code }, '::1', trial().uses);
      expect(recoveryCodes).toHaveLength(10);
      await trial().asks(before.signedIn);
      await expect(trial().asks(other)).rejects.toEqual(failing('auth.required'));
      // The key is at rest sealed only.
      const { totpSecret } = await trial()
        .uses.catalogue.db.selectFrom('account')
        .selectAll()
        .executeTakeFirstOrThrow();
      expect(totpSecret).not.toContain(offer.key.reveal());
      await begin('anna');
    });

    test('a code works once, also for two at the same moment, and one step around the clock', async () => {
      const anna = await enrol('anna');
      const flow = await begin('anna');
      // The code that confirmed it is used.
      const used = signInWithSecondFactor({ flow, code: anna.code() }, from(), trial().uses);
      await expect(used).rejects.toEqual(failing('auth.refused'));
      trial().advance(10 * minute);
      const flows = await Promise.all([begin('anna'), begin('anna')]);
      const code = anna.code();
      const both = await Promise.allSettled(
        flows.map((one) => signInWithSecondFactor({ flow: one, code }, from(), trial().uses)),
      );
      expect(both.map((one) => one.status).sort()).toEqual(['fulfilled', 'rejected']);
      trial().advance(30_000);
      const now = trial().uses.clock.nowMs();
      for (const [offset, taken] of [
        [-60_000, false],
        [60_000, false],
        [-30_000, false],
        [30_000, true],
      ] as const) {
        const tried = signInWithSecondFactor(
          { flow: await begin('anna'), code: anna.code(now + offset) },
          from(),
          trial().uses,
        );
        if (taken) expect((await trial().asks(await tried)).session?.method).toBe('password+totp');
        else await expect(tried).rejects.toEqual(failing('auth.refused'));
      }
    });

    test('guessing at codes is limited, and its step is over after five minutes', async () => {
      await enrol('anna');
      const flow = await begin('anna');
      for (let i = 0; i < 10; i++) {
        const guess = signInWithSecondFactor({ flow, code: `${100_000 + i}` }, from(), trial().uses);
        await expect(guess).rejects.toEqual(failing('auth.refused'));
      }
      const more = signInWithSecondFactor({ flow, code: '123456' }, from(), trial().uses);
      await expect(more).rejects.toEqual(failing('auth.limited'));
      trial().advance(5 * minute);
      const late = signInWithSecondFactor({ flow, code: '123456' }, from('198.51.100.3'), trial().uses);
      await expect(late).rejects.toEqual(failing('auth.refused', /over/));
    });

    test('who guesses from many networks locks nobody out where they have signed in before', async () => {
      const anna = await enrol('anna');
      trial().advance(80 * day);
      await tidyAuth({}, trial().uses);
      const flow = await begin('anna');
      const give = (code: string, address?: string) =>
        signInWithSecondFactor({ flow, code }, from(address), trial().uses);
      for (let i = 0; i < 21; i++) {
        const guess = give(`${100_000 + i}`, `2001:db8:0:${Math.floor(i / 10)}::1`);
        await expect(guess).rejects.toEqual(failing(i < 20 ? 'auth.refused' : 'auth.limited'));
      }
      await expect(give(anna.code(), '203.0.113.1')).rejects.toEqual(failing('auth.limited'));
      for (let i = 0; i < 9; i++) await expect(give('100000')).rejects.toEqual(failing('auth.refused'));
      await give(anna.code());
      trial().advance(91 * day);
      await tidyAuth({}, trial().uses);
      expect(await trial().uses.catalogue.db.selectFrom('attempt').selectAll().execute()).toEqual([]);
    });

    test('a recovery code works once, however it is typed, and new ones replace the old', async () => {
      const anna = await enrol('anna');
      const [first, second] = anna.recoveryCodes.map((one) => one.reveal());
      const sloppy = first.toLowerCase().replaceAll('-', ' ');
      const signedIn = await signInWithSecondFactor({ flow: await begin('anna'), code: sloppy }, from(), trial().uses);
      expect((await trial().asks(signedIn)).session?.method).toBe('password+recovery');
      const again = signInWithSecondFactor({ flow: await begin('anna'), code: first }, from(), trial().uses);
      await expect(again).rejects.toEqual(failing('auth.refused'));
      await renewRecoveryCodes(anna, '::1', trial().uses);
      const old = signInWithSecondFactor({ flow: await begin('anna'), code: second }, from(), trial().uses);
      await expect(old).rejects.toEqual(failing('auth.refused'));
    });

    test('somebody who lost it is let in by the password alone after a reset, which ends their sessions', async () => {
      const anna = await enrol('anna');
      expect(await resetTotp('anna', local, trial().uses)).toEqual({ hadOne: true });
      await expect(trial().asks(anna.signedIn)).rejects.toEqual(failing('auth.required'));
      await trial().signIn('anna');
    });

    test('a sign-in of an hour ago adds no factor', async () => {
      const anna = await trial().person('anna', 'viewer');
      trial().advance(hour);
      await expect(beginTotp(anna, trial().uses)).rejects.toEqual(failing('auth.refused', /too long ago/));
      await expect(beginPasskey(anna, { url: 'https://backup.example' }, trial().uses)).rejects.toEqual(
        failing('auth.refused'),
      );
    });
  });
});
