/** Passkeys, made by an authenticator of software: the same tests on SQLite and on PostgreSQL. */
import { expect, test } from 'vitest';
import {
  beginPasskey,
  beginPasskeySignIn,
  finishPasskey,
  listPasskeys,
  removePasskey,
  setDisabled,
  signInWithPasskey,
} from '../../src/auth/index.ts';
import { describeAuth, failing, from, local } from '../support/auth-trial.ts';
import { assert, newPasskey, register } from '../support/soft-authenticator.ts';

describeAuth('passkeys', (trial) => {
  const site = { url: 'https://backup.example' };
  const enrol = async (name: string, passkey = newPasskey()) => {
    const who = await trial().person(name, 'viewer');
    const { flow, options } = await beginPasskey(who, site, trial().uses);
    const response = register(passkey, options, site.url);
    await finishPasskey({ userId: who.userId, flow, response, title: 'Phone' }, { site, address: '::1' }, trial().uses);
    return { ...who, passkey };
  };
  const enter = async (make: (options: object) => object) => {
    const { flow, options } = await beginPasskeySignIn(site, '192.0.2.7', trial().uses);
    return await signInWithPasskey({ flow, response: make(options) }, { site, origin: from() }, trial().uses);
  };

  test('one that was added signs in, without a name and without a password', async () => {
    const { passkey, userId } = await enrol('anna');
    const { principal, session } = await trial().asks(await enter((options) => assert(passkey, options, site.url)));
    expect(principal).toMatchObject({ kind: 'user', name: 'anna' });
    expect(session?.method).toBe('passkey');
    expect(await listPasskeys(userId, trial().uses)).toMatchObject([
      { title: 'Phone', lastUsedAtMs: expect.any(Number) },
    ]);
  });

  test.each([
    ['another origin', { origin: 'https://backup.example.evil.example' }],
    ['another host', { rpId: 'evil.example' }],
    ['another challenge', { challenge: 'AAAA' }],
    ['no user verification', { flags: 0x01 }],
    ['somebody else’s handle', { userHandle: Buffer.from('somebody').toString('base64url') }],
  ])('an assertion for %s is refused', async (_, faults) => {
    const { passkey } = await enrol('anna');
    const tried = enter((options) => assert(passkey, options, site.url, faults));
    await expect(tried).rejects.toEqual(failing('auth.refused', /was not accepted/));
    await enter((options) => assert(passkey, options, site.url));
  });

  test('an answer cannot be used again, nor can a key that was never added or is not one', async () => {
    const { passkey } = await enrol('anna');
    const { flow, options } = await beginPasskeySignIn(site, '192.0.2.7', trial().uses);
    const response = assert(passkey, options, site.url);
    await signInWithPasskey({ flow, response }, { site, origin: from() }, trial().uses);
    const again = signInWithPasskey({ flow, response }, { site, origin: from() }, trial().uses);
    await expect(again).rejects.toEqual(failing('auth.refused', /over/));
    const strange = newPasskey();
    await expect(enter((asked) => assert(strange, asked, site.url))).rejects.toEqual(failing('auth.refused'));
    for (const nonsense of [null, {}, { id: 'a\0', rawId: 'a', type: 'public-key', response: {} }, 'x']) {
      await expect(enter(() => nonsense as object)).rejects.toEqual(failing('auth.refused'));
    }
    // Signed by another key than the one that was added.
    const forged = { ...strange, id: passkey.id, userHandle: passkey.userHandle };
    await expect(enter((asked) => assert(forged, asked, site.url))).rejects.toEqual(failing('auth.refused'));
  });

  test('a counter that does not grow is that of a copy', async () => {
    const passkey = newPasskey();
    passkey.counter = 5;
    await enrol('anna', passkey);
    passkey.counter = 6;
    await enter((options) => assert(passkey, options, site.url));
    await expect(enter((options) => assert(passkey, options, site.url))).rejects.toEqual(failing('auth.refused'));
    passkey.counter = 7;
    await enter((options) => assert(passkey, options, site.url));
  });

  test('a registration with a wrong challenge, or of a known key, or for somebody else is refused', async () => {
    const { passkey } = await enrol('anna');
    const bob = await trial().person('bob', 'viewer');
    const finish = async (response: (options: object) => object, userId = bob.userId) => {
      const { flow, options } = await beginPasskey(bob, site, trial().uses);
      const given = { userId, flow, response: response(options), title: '' };
      await finishPasskey(given, { site, address: '::1' }, trial().uses);
    };
    const faulty = finish((options) => register(newPasskey(), options, site.url, { challenge: 'AAAA' }));
    await expect(faulty).rejects.toEqual(failing('auth.refused'));
    const known = finish((options) => register(passkey, options, site.url));
    await expect(known).rejects.toEqual(failing('auth.refused', /known already/));
    const others = finish((options) => register(newPasskey(), options, site.url), 'somebody');
    await expect(others).rejects.toEqual(failing('auth.refused', /somebody else/));
    await finish((options) => register(newPasskey(), options, site.url));
  });

  test('a removed one, and one of somebody disabled, let nobody in', async () => {
    const anna = await enrol('anna');
    await setDisabled({ name: 'anna', disabled: true }, local, trial().uses);
    await expect(enter((asked) => assert(anna.passkey, asked, site.url))).rejects.toEqual(failing('auth.refused'));
    await setDisabled({ name: 'anna', disabled: false }, local, trial().uses);
    const [{ id }] = await listPasskeys(anna.userId, trial().uses);
    await removePasskey({ ...anna, id }, '::1', trial().uses);
    await expect(enter((asked) => assert(anna.passkey, asked, site.url))).rejects.toEqual(failing('auth.refused'));
  });

  test('the last one stays where nothing else would let its owner in', async () => {
    const anna = await enrol('anna');
    const { db } = trial().uses.catalogue;
    await db.updateTable('account').set({ passwordHash: null }).execute();
    const [{ id }] = await listPasskeys(anna.userId, trial().uses);
    const remove = () => removePasskey({ ...anna, id }, '::1', trial().uses);
    await expect(remove()).rejects.toEqual(failing('auth.forbidden', /no way left/));
    expect(await listPasskeys(anna.userId, trial().uses)).toHaveLength(1);
    await db
      .insertInto('identity')
      .values({ issuer: 'https://id.example', subject: 'a', userId: anna.userId })
      .execute();
    await remove();
    expect(await listPasskeys(anna.userId, trial().uses)).toEqual([]);
  });

  test('where browsers know none, that is said', async () => {
    for (const url of ['http://backup.example', 'https://192.0.2.1', 'https://[2001:db8::1]:8321']) {
      const begun = beginPasskeySignIn({ url }, '192.0.2.7', trial().uses);
      await expect(begun).rejects.toEqual(failing('auth.forbidden', /no passkeys/));
    }
    await beginPasskeySignIn({ url: 'http://localhost:8321' }, '192.0.2.7', trial().uses);
  });
});
