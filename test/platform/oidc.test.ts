/** Signing in by a real provider: the same tests on SQLite and on PostgreSQL. */
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  beginOidc,
  completeOidc,
  createToken,
  endAllSessions,
  listAccounts,
  listAudit,
  listLinks,
  OidcProvider,
  type OidcSettings,
  principalOf,
  reconcileAccounts,
  removeLinks,
  setDisabled,
} from '../../src/auth/index.ts';
import { Secret } from '../../src/base/secrets.ts';
import type { Role } from '../../src/model/principal.ts';
import { type OidcPerson, type OidcServer, signInAtProvider, startOidc } from '../servers/oidc.ts';
import { authTables, day, describeAuth, failing, from, hour, local, minute } from '../support/auth-trial.ts';

const roles: OidcSettings['roles'] = new Map<string, ReadonlyMap<string, Role>>([
  ['backup-admins', new Map([['*', 'admin']])],
  ['backup-owners', new Map([['*', 'owner']])],
  ['devs', new Map([['shop', 'restorer']])],
]);

describeAuth('a provider', (trial) => {
  let server: OidcServer;
  beforeAll(async () => {
    server = await startOidc();
  });
  afterAll(async () => await server?.[Symbol.asyncDispose]());

  const at = (settings: Partial<OidcSettings> = {}, where = server) =>
    new OidcProvider(
      {
        issuer: where.issuer,
        clientId: 'holdfast',
        clientSecret: async () => new Secret(where.clientSecret),
        scopes: ['openid', 'profile', 'email', 'groups'],
        groupsClaim: 'groups',
        roles,
        ...settings,
      },
      trial().uses.clock,
    );
  const begin = async (provider: OidcProvider, more: object = {}, where = server) =>
    await beginOidc(provider, { redirectUri: where.redirectUri, address: '192.0.2.7', ...more }, trial().uses);
  const complete = (provider: OidcProvider, query: string, flow?: Secret) =>
    completeOidc(provider, { query, flow }, from(), trial().uses);
  /** The whole way of somebody with these claims. */
  const enter = async (name: string, claims: OidcPerson, provider = at(), more: object = {}, where = server) => {
    where.people.set(name, claims);
    const { url, flow } = await begin(provider, more, where);
    return await complete(provider, await signInAtProvider(url, name, where), flow);
  };
  const account = async (name: string) => (await listAccounts(trial().uses, name))[0];

  test('somebody new has an account, with the roles of their groups', async () => {
    const anna = {
      preferred_username: 'Anna Smith',
      email: 'anna@example.org',
      email_verified: true,
      groups: ['devs', 'x'],
    };
    const signedIn = await enter('anna', anna, at(), { returnTo: '/runs?source=shop' });
    expect(signedIn).toMatchObject({ name: 'anna-smith', returnTo: '/runs?source=shop' });
    const { principal, session } = await trial().asks(signedIn);
    expect(session?.method).toBe('oidc');
    expect(Object.fromEntries(principal.roles)).toEqual({ shop: 'restorer' });
    expect(await account('anna-smith')).toMatchObject({ origin: 'oidc', email: 'anna@example.org', identities: 1 });
    expect(await enter('anna', anna)).toMatchObject({ name: 'anna-smith' });
    // Another person who is called so gets another account.
    expect(await enter('anne', { preferred_username: 'Anna Smith', groups: ['devs'] })).toMatchObject({
      name: 'anna-smith-2',
    });
  });

  test('claims that only the user info endpoint tells count as well', async () => {
    await using where = await startOidc({ onlyUserInfo: true });
    const signedIn = await enter(
      'anna',
      { groups: ['backup-admins'], preferred_username: 'anna' },
      at({}, where),
      {},
      where,
    );
    expect(Object.fromEntries((await trial().asks(signedIn)).principal.roles)).toEqual({ '*': 'admin' });
  });

  test('roles are looked at anew at each sign-in, and what others gave stays', async () => {
    const email = 'anna@example.org';
    const anna = { preferred_username: 'anna', email, email_verified: true };
    const first = await enter('anna', { ...anna, groups: ['backup-admins'] });
    const { principal } = await trial().asks(first);
    const wanted = { user: 'anna', title: 'ci', role: 'admin', workspace: '*' } as const;
    const { token } = await createToken(wanted, { principal }, trial().uses);
    const second = await enter('anna', { groups: ['devs'] });
    for (const signedIn of [first, second]) {
      expect(Object.fromEntries((await trial().asks(signedIn)).principal.roles)).toEqual({ shop: 'restorer' });
    }
    const { roles: left } = await principalOf({ bearer: token }, trial().uses);
    expect(Object.fromEntries(left)).toEqual({ shop: 'restorer' });
    const out = enter('anna', { groups: [] });
    await expect(out).rejects.toEqual(failing('auth.forbidden', /none of your groups/));
    await expect(trial().asks(second)).rejects.toEqual(failing('auth.required'));
    expect((await principalOf({ bearer: token }, trial().uses)).roles.size).toBe(0);
    const declared = { name: 'anna', email, roles: new Map<string, Role>([['*', 'viewer']]) };
    await reconcileAccounts({ users: [declared], workspaces: [{ name: 'shop', title: 'Shop' }] }, trial().uses);
    const third = await enter('anna', { groups: ['devs', 'backup-admins'] });
    const now = Object.fromEntries((await trial().asks(third)).principal.roles);
    expect(now).toEqual({ '*': 'viewer', shop: 'restorer' });
  });

  test('who is in no group gets the default role, or is not let in and gets no account', async () => {
    const carl = { preferred_username: 'carl', groups: ['else'] };
    await expect(enter('carl', carl)).rejects.toEqual(failing('auth.forbidden'));
    expect(await account('carl')).toBeUndefined();
    const signedIn = await enter('carl', carl, at({ defaultRole: 'viewer' }));
    expect(Object.fromEntries((await trial().asks(signedIn)).principal.roles)).toEqual({ '*': 'viewer' });
  });

  test('the last owner stays one when the group is gone', async () => {
    await enter('olga', { preferred_username: 'olga', groups: ['backup-owners'] });
    const kept = await enter('olga', { groups: ['devs'] });
    expect((await trial().asks(kept)).principal.roles.get('*')).toBe('owner');
    await enter('otto', { preferred_username: 'otto', groups: ['backup-owners'] });
    const degraded = await enter('olga', { groups: ['devs'] });
    expect((await trial().asks(degraded)).principal.roles.get('*')).toBeUndefined();
  });

  test('a wrong state, another browser, no browser and an answer that comes twice are refused', async () => {
    const provider = at();
    server.people.set('anna', { groups: ['devs'] });
    const { url, flow } = await begin(provider);
    const query = await signInAtProvider(url, 'anna', server);
    await expect(complete(provider, query)).rejects.toEqual(failing('auth.refused', /did not begin/));
    const other = await begin(provider);
    const crossed = complete(provider, query, other.flow);
    await expect(crossed).rejects.toEqual(failing('auth.refused', /not the answer/));
    const forged = new URLSearchParams(query);
    forged.set('state', 'x'.repeat(43));
    const third = await begin(provider);
    await expect(complete(provider, forged.toString(), third.flow)).rejects.toEqual(failing('auth.refused'));
    await complete(provider, query, flow);
    await expect(complete(provider, query, flow)).rejects.toEqual(failing('auth.refused', /over/));
    // The code again, in a flow whose state is right: the provider does not take it.
    const fourth = await begin(provider);
    const replay = new URLSearchParams(query);
    replay.set('state', new URL(fourth.url).searchParams.get('state')!);
    const replayed = complete(provider, replay.toString(), fourth.flow);
    await expect(replayed).rejects.toEqual(failing('auth.refused', /did not take the code/));
  });

  test('what took too long is refused: our step, the provider’s code, and what it said of somebody', async () => {
    server.people.set('anna', { groups: ['devs'] });
    const slow = at();
    const first = await begin(slow);
    const query = await signInAtProvider(first.url, 'anna', server);
    trial().advance(10 * minute);
    await expect(complete(slow, query, first.flow)).rejects.toEqual(failing('auth.refused', /over/));
    const hasty = at({ clientId: 'hasty' });
    const second = await begin(hasty);
    const late = await signInAtProvider(second.url, 'anna', server);
    await setTimeout(2100);
    const code = complete(hasty, late, second.flow);
    await expect(code).rejects.toEqual(failing('auth.refused', /too old/));
    // A server whose clock is two hours ahead of the provider's.
    trial().advance(2 * hour + Date.now() - trial().uses.clock.nowMs());
    await expect(enter('anna', { groups: ['devs'] }, at())).rejects.toEqual(failing('auth.refused', /not the answer/));
  });

  test('a person who declines, or a provider that reports an error, is told without repeating what the address says', async () => {
    const provider = at();
    for (const error of ['access_denied', '<script>alert(1)</script>']) {
      const { url, flow } = await begin(provider);
      const state = new URL(url).searchParams.get('state')!;
      const query = new URLSearchParams({ error, error_description: 'see evil.example', state, iss: server.issuer });
      const refusal = await complete(provider, query.toString(), flow).catch((one: unknown) => one);
      expect(refusal).toEqual(failing('auth.refused', /did not sign you in/));
      expect((refusal as Error).message).not.toMatch(/evil|script/);
    }
  });

  test('while it is away passwords still let in, and it works again as soon as it is back', async () => {
    await trial().add('olga', 'owner');
    const provider = at();
    server.people.set('anna', { groups: ['devs'] });
    const begun = await begin(provider);
    const query = await signInAtProvider(begun.url, 'anna', server);
    await server.stop();
    try {
      const away = failing('auth.provider', /cannot be asked/);
      await expect(complete(provider, query, begun.flow)).rejects.toEqual(away);
      await expect(begin(at())).rejects.toEqual(away);
      await trial().signIn('olga');
    } finally {
      await server.start();
    }
    await enter('anna', { groups: ['devs'] }, provider);
  });

  test('a provider that is first away is asked again by the next who comes', async () => {
    const provider = at();
    await server.stop();
    await expect(begin(provider))
      .rejects.toEqual(failing('auth.provider'))
      .finally(() => server.start());
    await enter('anna', { groups: ['devs'] }, provider);
  });

  test('a wrong secret, an unknown client, another issuer and plain http far away are told as faults of the set-up', async () => {
    const wrong = at({ clientSecret: async () => new Secret('wrong') });
    const mine = enter('anna', { groups: ['devs'] }, wrong);
    await expect(mine).rejects.toEqual(failing('auth.provider', /client id or secret/));
    const issuer = server.issuer.replace('127.0.0.1', 'localhost');
    await expect(begin(at({ issuer }))).rejects.toEqual(failing('auth.provider'));
    await expect(begin(at({ issuer: 'http://192.0.2.1' }))).rejects.toEqual(failing('auth.provider', /HTTPS/i));
    // A secret that is corrected counts at the next attempt.
    let secret = 'wrong';
    const fixed = at({ clientSecret: async () => new Secret(secret) });
    await expect(enter('anna', { groups: ['devs'] }, fixed)).rejects.toEqual(failing('auth.provider'));
    secret = server.clientSecret;
    await enter('anna', { groups: ['devs'] }, fixed);
  });

  test('an account with the same address is linked only if it is verified and the configuration says so', async () => {
    const declared = { name: 'anna', email: 'anna@example.org', roles: new Map<string, Role>([['*', 'operator']]) };
    await reconcileAccounts({ users: [declared], workspaces: [] }, trial().uses);
    const claims = { email: 'Anna@Example.org', email_verified: true, preferred_username: 'anna' };
    const linking = () => at({ linkByEmail: true });
    const unproven = failing('auth.refused', /nothing proves/);
    await expect(enter('anna', claims)).rejects.toEqual(unproven);
    await expect(enter('anna', { ...claims, email_verified: false }, linking())).rejects.toEqual(unproven);
    const signedIn = await enter('anna', claims, linking());
    expect((await trial().asks(signedIn)).principal).toMatchObject({ name: 'anna' });
    expect(await account('anna')).toMatchObject({ identities: 1, roles: { '*': 'operator' } });
    // From then on the identity counts, not the address.
    await enter('anna', { email: 'new@example.org', email_verified: false }, at());
    // Somebody else with that address does not get in.
    await expect(enter('mallory', { ...claims, email_verified: false }, linking())).rejects.toEqual(unproven);
    await setDisabled({ name: 'anna', disabled: true }, local, trial().uses);
    await expect(enter('anna', claims, linking())).rejects.toEqual(failing('auth.refused', /disabled/));
  });

  test('whoever called themselves so at the provider does not get what the file declares for that name', async () => {
    await trial().add('olga', 'owner');
    await enter('mallory', {
      preferred_username: 'zoe',
      email: 'm@example.org',
      email_verified: true,
      groups: ['devs'],
    });
    const zoe = { name: 'zoe', roles: new Map<string, Role>([['*', 'admin']]) };
    const declare = (email?: string) => reconcileAccounts({ users: [{ ...zoe, email }], workspaces: [] }, trial().uses);
    for (const email of [undefined, 'zoe@example.org']) {
      expect(await declare(email)).toMatchObject({
        changed: [],
        warnings: [expect.stringContaining('came from the provider')],
      });
    }
    expect(await account('zoe')).toMatchObject({ roles: { shop: 'restorer' }, origin: 'oidc' });
    expect(await declare('M@example.org')).toMatchObject({ changed: ['zoe'], warnings: [] });
    // Names of the audit log's own are nobody's.
    expect(await enter('eve', { preferred_username: 'nobody', groups: ['devs'] })).toMatchObject({
      name: 'eve',
    });
  });

  test('an address that two accounts have links neither', async () => {
    const users = ['anna', 'anne'].map((name) => ({ name, email: 'a@example.org', roles: new Map<string, Role>() }));
    await reconcileAccounts({ users, workspaces: [] }, trial().uses);
    const entering = enter('anna', { email: 'a@example.org', email_verified: true }, at({ linkByEmail: true }));
    await expect(entering).rejects.toEqual(failing('auth.refused', /nothing proves/));
  });

  test('who is signed in links a provider to their account, unless the identity is somebody else’s', async () => {
    const bob = await trial().person('bob', 'operator');
    const signedIn = await enter('robert', { groups: [] }, at(), { linkTo: bob });
    expect((await trial().asks(signedIn)).principal).toMatchObject({ name: 'bob' });
    const eve = await trial().person('eve', 'viewer');
    const stolen = enter('robert', { groups: [] }, at(), { linkTo: eve });
    await expect(stolen).rejects.toEqual(failing('auth.refused', /another account/));
    expect(await enter('robert', { groups: [] })).toMatchObject({ name: 'bob' });
    trial().advance(hour);
    await expect(begin(at(), { linkTo: eve })).rejects.toEqual(failing('auth.refused', /too long ago/));
  });

  test('a session that was ended meanwhile links nothing', async () => {
    const bob = await trial().person('bob', 'operator');
    server.people.set('robert', { groups: [] });
    const { url, flow } = await begin(at(), { linkTo: bob });
    const query = await signInAtProvider(url, 'robert', server);
    await endAllSessions('bob', local, trial().uses);
    await expect(complete(at(), query, flow)).rejects.toEqual(failing('auth.refused', /has ended/));
    expect(await listLinks(bob.userId, trial().uses)).toEqual([]);
  });

  test('a link is taken away again, with what the groups gave, if something else still lets one in', async () => {
    const bob = await trial().person('bob', 'shop:viewer');
    await enter('robert', { groups: ['backup-admins'] }, at(), { linkTo: bob });
    expect(await listLinks(bob.userId, trial().uses)).toEqual([server.issuer]);
    expect(await account('bob')).toMatchObject({ roles: { '*': 'admin', shop: 'viewer' } });
    await removeLinks(bob, '::1', trial().uses);
    expect(await account('bob')).toMatchObject({ roles: { shop: 'viewer' }, identities: 0 });
    const signedIn = await enter('anna', { preferred_username: 'anna', groups: ['devs'] });
    const { session } = await trial().asks(signedIn);
    const anna = { userId: signedIn.userId, session: session! };
    await expect(removeLinks(anna, '::1', trial().uses)).rejects.toEqual(failing('auth.forbidden', /no way left/));
  });

  test('it goes on to pages of this server only', async () => {
    const evil = [
      'https://evil.example',
      '//evil.example',
      '/\\evil.example',
      '/a\\..\\b',
      'javascript:x',
      '/ä',
      '/a b',
      '',
    ];
    for (const returnTo of evil) {
      expect(await enter('anna', { groups: ['devs'] }, at(), { returnTo })).toMatchObject({ returnTo: '/' });
    }
  });

  test('neither the client’s secret nor a code is written down or shown', async () => {
    const { query, flow, url } = await (async () => {
      server.people.set('anna', { groups: ['devs'] });
      const begun = await begin(at());
      return { ...begun, query: await signInAtProvider(begun.url, 'anna', server) };
    })();
    const code = new URLSearchParams(query).get('code')!;
    const failed = await complete(at({ clientSecret: async () => new Secret('wrong') }), query, flow).catch(
      (one: unknown) => one,
    );
    expect(JSON.stringify(failed)).not.toContain(code);
    expect((failed as Error).message).not.toContain(code);
    const rows: string[] = [];
    for (const table of authTables)
      rows.push(JSON.stringify(await trial().uses.catalogue.db.selectFrom(table).selectAll().execute()));
    for (const secret of [code, server.clientSecret]) expect(rows.join('')).not.toContain(secret);
    expect(url).not.toContain(server.clientSecret);
    trial().advance(day);
    const { entries } = await listAudit({ action: 'sign-in' }, trial().uses);
    expect(entries.every((one) => !JSON.stringify(one).includes(code))).toBe(true);
  });
});
