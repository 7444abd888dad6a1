/** Tokens, rights, the first owner, declared people and the audit log: the same tests on SQLite and on PostgreSQL. */
import { TOTP } from 'otpauth';
import { describe, expect, test } from 'vitest';
import {
  beginTotp,
  completeSetUp,
  confirmTotp,
  createToken,
  isSetUpNeeded,
  issuePasswordLink,
  listAccounts,
  listAudit,
  listTokens,
  openSetUp,
  principalOf,
  reconcileAccounts,
  recordAudit,
  removeAccount,
  resetTotp,
  revokeToken,
  setDisabled,
  setPassword,
  setRole,
  tidyAuth,
} from '../../src/auth/index.ts';
import { Secret } from '../../src/base/secrets.ts';
import type { Role } from '../../src/model/principal.ts';
import {
  authTables,
  day,
  describeAuth,
  failing,
  from,
  goodPassword,
  local,
  type Person,
} from '../support/auth-trial.ts';

describeAuth('accounts', (trial) => {
  describe('tokens', () => {
    const make = async (who: Person, wanted: object = {}) =>
      await createToken(
        { user: 'anna', title: 'ci', role: 'operator', workspace: '*', ...wanted },
        who.asker,
        trial().uses,
      );
    const rolesOf = async (token: Secret) =>
      Object.fromEntries((await principalOf({ bearer: token }, trial().uses)).roles);

    test('one is shown once, kept as a hash, and says who it acts for', async () => {
      const anna = await trial().person('anna', 'admin');
      const { token } = await make(anna, { sources: ['shop', 'shop'], expiresAtMs: trial().uses.clock.nowMs() + day });
      expect(token.reveal()).toMatch(/^hf_[0-9A-Za-z]{43}$/);
      const principal = await principalOf({ bearer: token }, trial().uses);
      expect(principal).toMatchObject({ kind: 'token', name: 'anna/ci', sources: new Set(['shop']) });
      const rows = JSON.stringify(await trial().uses.catalogue.db.selectFrom('token').selectAll().execute());
      expect(rows).not.toContain(token.reveal().slice(9));
      const [view] = await listTokens({ user: 'Anna' }, trial().uses);
      expect(view).toMatchObject({ title: 'ci', prefix: token.reveal().slice(0, 9), lastUsedAtMs: expect.any(Number) });
      trial().advance(day);
      await expect(principalOf({ bearer: token }, trial().uses)).rejects.toEqual(failing('auth.required'));
    });

    test('it never may more than its owner at that moment', async () => {
      const anna = await trial().person('anna', 'shop:operator', 'default:viewer');
      const everywhere = await make(anna);
      const nowhere = make(anna, { title: 'x', workspace: 'nowhere' });
      await expect(nowhere).rejects.toEqual(failing('object.unknown'));
      const inShop = await make(anna, { title: 'shop', workspace: 'shop' });
      expect(await rolesOf(inShop.token)).toEqual({ shop: 'operator' });
      const above = make(anna, { title: 'y', workspace: 'default' });
      await expect(above).rejects.toEqual(failing('auth.forbidden', /not operator in default/));
      expect(await rolesOf(everywhere.token)).toEqual({ shop: 'operator', default: 'viewer' });
      await setRole({ name: 'anna', workspace: 'shop', role: 'restorer' }, local, trial().uses);
      expect(await rolesOf(everywhere.token)).toEqual({ shop: 'restorer', default: 'viewer' });
      await trial().uses.catalogue.db.deleteFrom('membership').execute();
      expect(await rolesOf(everywhere.token)).toEqual({});
      await setDisabled({ name: 'anna', disabled: true }, local, trial().uses);
      await expect(rolesOf(everywhere.token)).rejects.toEqual(failing('auth.required'));
      await setDisabled({ name: 'anna', disabled: false }, local, trial().uses);
      expect(await rolesOf(everywhere.token)).toEqual({});
      await removeAccount('anna', local, trial().uses);
      await expect(rolesOf(everywhere.token)).rejects.toEqual(failing('auth.required'));
    });

    test('nobody makes one above themselves, for others, twice with a title, expired, or by a token', async () => {
      const anna = await trial().person('anna', 'operator');
      const bob = await trial().person('bob', 'admin');
      const owner = await trial().person('olga', 'owner');
      await expect(make(anna, { role: 'admin' })).rejects.toEqual(failing('auth.forbidden', /not admin anywhere/));
      await expect(make(bob)).rejects.toEqual(failing('auth.forbidden'));
      const { token } = await make(anna);
      await expect(make(anna)).rejects.toEqual(failing('request.invalid', /already/));
      await make(owner, { title: 'by olga' });
      await expect(make(anna, { title: 'x', expiresAtMs: 1 })).rejects.toEqual(failing('request.invalid'));
      await expect(make(anna, { title: 'a/b' })).rejects.toEqual(failing('request.invalid'));
      const byToken = { ...anna, asker: { principal: await principalOf({ bearer: token }, trial().uses) } };
      await expect(make(byToken, { title: 'y' })).rejects.toEqual(failing('auth.forbidden', /no further tokens/));
    });

    test('one that is held to some sources rules over nobody', async () => {
      const anna = await trial().person('anna', 'owner');
      await trial().add('bob', 'viewer');
      const { token } = await make(anna, { role: 'owner', sources: ['shop'] });
      const asker = { principal: await principalOf({ bearer: token }, trial().uses) };
      const give = setRole({ name: 'bob', workspace: '*', role: 'admin' }, asker, trial().uses);
      await expect(give).rejects.toEqual(failing('auth.forbidden'));
      await expect(removeAccount('bob', asker, trial().uses)).rejects.toEqual(failing('auth.forbidden'));
    });

    test('its owner and admins end it; to others it does not exist', async () => {
      const anna = await trial().person('anna', 'operator');
      const bob = await trial().person('bob', 'operator');
      const carl = await trial().person('carl', 'admin');
      const { id, token } = await make(anna);
      await expect(revokeToken(id, bob.asker, trial().uses)).rejects.toEqual(failing('user.unknown'));
      await expect(revokeToken('a\0b', bob.asker, trial().uses)).rejects.toEqual(failing('user.unknown'));
      expect(await revokeToken(id, carl.asker, trial().uses)).toEqual({ title: 'ci' });
      await revokeToken(id, anna.asker, trial().uses);
      await expect(rolesOf(token)).rejects.toEqual(failing('auth.required'));
      await make(anna);
    });

    test('what is no token, and nothing at all, is nobody', async () => {
      const strange = [{}, { bearer: new Secret('hf_x') }, { bearer: new Secret('\0') }, { session: new Secret('x') }];
      for (const credentials of strange) {
        await expect(principalOf(credentials, trial().uses)).rejects.toEqual(failing('auth.required'));
      }
    });
  });

  describe('the first owner', () => {
    const olga = { name: 'olga', password: goodPassword };

    test('needs the code, which works until there is one', async () => {
      expect(await isSetUpNeeded(trial().uses)).toBe(true);
      const code = (await openSetUp(trial().uses))!.reveal();
      const wrong = completeSetUp({ ...olga, code: '00000-00000-00000-00000' }, from(), trial().uses);
      await expect(wrong).rejects.toEqual(failing('auth.refused'));
      const weak = completeSetUp({ ...olga, code, password: new Secret('short') }, from(), trial().uses);
      await expect(weak).rejects.toEqual(failing('request.invalid'));
      const signedIn = await completeSetUp({ ...olga, code: code.toLowerCase() }, from(), trial().uses);
      expect((await trial().asks(signedIn)).principal.roles.get('*')).toBe('owner');
      expect(await isSetUpNeeded(trial().uses)).toBe(false);
      expect(await openSetUp(trial().uses)).toBeUndefined();
      const again = completeSetUp({ name: 'mallory', password: goodPassword, code }, from(), trial().uses);
      await expect(again).rejects.toEqual(failing('auth.forbidden', /done/));
    });

    test('of several who come at once with the code, one becomes owner', async () => {
      const codes = [await openSetUp(trial().uses), await openSetUp(trial().uses)].map((one) => one!.reveal());
      const outcomes = await Promise.allSettled(
        ['a1', 'b2', 'c3'].map((name, i) => completeSetUp({ ...olga, name, code: codes[i % 2] }, from(), trial().uses)),
      );
      expect(outcomes.filter((one) => one.status === 'fulfilled')).toHaveLength(1);
      expect(await listAccounts(trial().uses)).toHaveLength(1);
    });

    test('guessing at the code is limited', async () => {
      await openSetUp(trial().uses);
      const guess = () => completeSetUp({ ...olga, code: 'AAAAA-AAAAA-AAAAA-AAAAA' }, from(), trial().uses);
      for (let i = 0; i < 40; i++) await expect(guess()).rejects.toEqual(failing('auth.refused'));
      await expect(guess()).rejects.toEqual(failing('auth.limited'));
    });

    test('one that is declared gets a password by it; another name of the file does not become owner', async () => {
      const users = [
        { name: 'olga', roles: new Map<string, Role>([['*', 'owner']]) },
        { name: 'vera', roles: new Map<string, Role>([['*', 'viewer']]) },
      ];
      await reconcileAccounts({ users, workspaces: [] }, trial().uses);
      expect(await isSetUpNeeded(trial().uses)).toBe(true);
      const code = (await openSetUp(trial().uses))!.reveal();
      const other = completeSetUp({ ...olga, name: 'vera', code }, from(), trial().uses);
      await expect(other).rejects.toEqual(failing('auth.forbidden', /no owner/));
      await completeSetUp({ ...olga, code }, from(), trial().uses);
      await trial().signIn('olga');
    });
  });

  describe('rights over accounts', () => {
    test('nobody gives more than they have, or rules over who has more', async () => {
      const admin = await trial().person('adam', 'admin');
      const shop = await trial().person('sara', 'default:admin');
      await trial().add('olga', 'owner');
      await trial().add('vera', 'viewer');
      const { uses } = trial();
      const give = (name: string, role: Role, who = admin, workspace = '*') =>
        setRole({ name, workspace, role }, who.asker, uses);
      await expect(give('adam', 'owner')).rejects.toEqual(failing('auth.forbidden'));
      await expect(give('olga', 'viewer')).rejects.toEqual(failing('auth.forbidden'));
      await give('vera', 'operator');
      await expect(give('vera', 'admin', shop)).rejects.toEqual(failing('auth.forbidden'));
      await give('vera', 'admin', shop, 'default');
      const password = new Secret('a phrase of the admin');
      await setPassword({ name: 'vera', password }, admin.asker, uses);
      for (const [who, name] of [
        [admin, 'olga'],
        [shop, 'vera'],
      ] as const) {
        await expect(setPassword({ name, password }, who.asker, uses)).rejects.toEqual(failing('auth.forbidden'));
        await expect(issuePasswordLink(name, who.asker, uses)).rejects.toEqual(failing('auth.forbidden'));
        await expect(resetTotp(name, who.asker, uses)).rejects.toEqual(failing('auth.forbidden'));
        await expect(removeAccount(name, who.asker, uses)).rejects.toEqual(failing('auth.forbidden'));
        const disable = setDisabled({ name, disabled: true }, who.asker, uses);
        await expect(disable).rejects.toEqual(failing('auth.forbidden'));
      }
    });

    test('the last owner is neither removed, disabled nor degraded; one of two at a time can be', async () => {
      await trial().add('olga', 'owner');
      const { uses } = trial();
      const last = failing('auth.forbidden', /nobody who may do everything/);
      await expect(removeAccount('olga', local, uses)).rejects.toEqual(last);
      await expect(setDisabled({ name: 'olga', disabled: true }, local, uses)).rejects.toEqual(last);
      await expect(setRole({ name: 'olga', workspace: '*', role: 'admin' }, local, uses)).rejects.toEqual(last);
      await expect(setRole({ name: 'olga', workspace: '*' }, local, uses)).rejects.toEqual(last);
      await trial().add('otto', 'owner');
      const outcomes = await Promise.allSettled([
        setRole({ name: 'olga', workspace: '*', role: 'viewer' }, local, uses),
        removeAccount('otto', local, uses),
      ]);
      expect(outcomes.map((one) => one.status).sort()).toEqual(['fulfilled', 'rejected']);
    });

    test('a name is taken once, in any case, and is one that can stand in a URL', async () => {
      await trial().add('anna', 'viewer');
      await expect(trial().add('ANNA')).rejects.toEqual(failing('request.invalid', /already/));
      for (const name of ['nobody', 'Provider', '', 'a b', '-a', 'ä', 'a/b', 'x'.repeat(65)]) {
        await expect(trial().add(name)).rejects.toEqual(failing('request.invalid'));
      }
      await expect(trial().add('bob', 'nowhere:viewer')).rejects.toEqual(failing('object.unknown', /workspace/));
    });
  });

  describe('the configuration', () => {
    const roles = (...held: [string, Role][]) => new Map(held);
    const declare = (...users: { name: string; email?: string; roles: ReadonlyMap<string, Role> }[]) =>
      reconcileAccounts({ users, workspaces: [{ name: 'shop', title: 'Shop' }] }, trial().uses);

    test('makes accounts and roles, changes and takes back what it gave, and nothing else', async () => {
      await trial().add('olga', 'owner');
      const anna = { name: 'anna', email: 'Anna@Example.org', roles: roles(['*', 'viewer'], ['shop', 'operator']) };
      expect(await declare(anna)).toMatchObject({ added: ['anna'], changed: [], released: [], warnings: [] });
      expect(await declare(anna)).toMatchObject({ added: [], changed: [], released: [] });
      expect(await listAccounts(trial().uses, 'anna')).toMatchObject([
        { origin: 'file', email: 'anna@example.org', roles: { '*': 'viewer', shop: 'operator' }, hasPassword: false },
      ]);
      const owned = failing('object.owned');
      await expect(setRole({ name: 'anna', workspace: '*', role: 'admin' }, local, trial().uses)).rejects.toEqual(
        owned,
      );
      await expect(removeAccount('anna', local, trial().uses)).rejects.toEqual(owned);
      expect(await declare({ ...anna, roles: roles(['*', 'admin']) })).toMatchObject({ changed: ['anna'] });
      expect((await listAccounts(trial().uses, 'anna'))[0].roles).toEqual({ '*': 'admin' });
      expect(await declare()).toMatchObject({ released: ['anna'] });
      expect(await listAccounts(trial().uses, 'anna')).toMatchObject([{ origin: 'ui', roles: {} }]);
      await removeAccount('anna', local, trial().uses);
    });

    test('takes over an account of the same name, whose own roles come back when it lets go', async () => {
      await trial().add('olga', 'owner');
      await trial().add('anna', 'operator');
      await declare({ name: 'anna', roles: roles(['*', 'viewer']) });
      expect((await listAccounts(trial().uses, 'anna'))[0].roles).toEqual({ '*': 'viewer' });
      await trial().signIn('anna');
      await declare();
      expect((await listAccounts(trial().uses, 'anna'))[0].roles).toEqual({ '*': 'operator' });
    });

    test('may hand ownership over in one change, but not leave nobody', async () => {
      await declare({ name: 'anna', roles: roles(['*', 'owner']) });
      const warned = await declare({ name: 'anna', roles: roles(['*', 'viewer']) });
      expect(warned.warnings).toEqual([expect.stringContaining('«anna» is the last')]);
      expect((await declare()).warnings).toHaveLength(1);
      const handed = await declare(
        { name: 'anna', roles: roles(['*', 'viewer']) },
        { name: 'zoe', roles: roles(['*', 'owner']) },
      );
      expect(handed).toMatchObject({ added: ['zoe'], changed: ['anna'], warnings: [] });
    });
  });

  describe('the audit log', () => {
    test('is read in pages, newest first, by what somebody looks for', async () => {
      const pick = (i: number, every: number, rare: string, usual: string) => (i % every === 0 ? rare : usual);
      for (let i = 0; i < 25; i++) {
        const entry = { actor: pick(i, 2, 'bob', 'anna'), action: pick(i, 5, 'token.create', 'user.add') };
        const outcome = pick(i, 3, 'refused', 'done') as 'refused' | 'done';
        await recordAudit({ ...entry, subject: `s${i}`, outcome }, trial().uses);
        trial().advance(1000);
      }
      const pages: string[] = [];
      for (let before: string | undefined, more = true; more; ) {
        const page = await listAudit({ limit: 10, before }, trial().uses);
        pages.push(...page.entries.map((one) => one.subject!));
        more = page.next !== undefined;
        before = page.next;
      }
      expect(pages).toEqual(Array.from({ length: 25 }, (_, i) => `s${24 - i}`));
      const count = async (filter: object) => (await listAudit(filter, trial().uses)).entries.length;
      expect(await count({ actor: 'anna' })).toBe(12);
      expect(await count({ action: 'token' })).toBe(5);
      expect(await count({ action: 'token.create', outcome: 'refused' })).toBe(2);
      expect(await count({ action: '%' })).toBe(0);
      expect(await count({ subject: 's3' })).toBe(1);
      const now = trial().uses.clock.nowMs();
      expect(await count({ fromMs: now - 5000, untilMs: now - 1000 })).toBe(4);
      expect(await count({ before: 'x\0' })).toBeLessThanOrEqual(25);
      await tidyAuth({ auditMs: 10_000 }, trial().uses);
      expect(await count({})).toBe(10);
    });

    test('a whole life of an account leaves no secret in any table', async () => {
      const anna = await trial().person('anna', 'owner');
      const typo = new Secret('typed-into-the-name-field');
      await trial()
        .signIn(typo.reveal(), from(), goodPassword)
        .catch(() => undefined);
      await trial()
        .signIn('anna', from(), typo)
        .catch(() => undefined);
      const code = await openSetUp(trial().uses);
      const wanted = { user: 'anna', title: 't', role: 'viewer', workspace: '*' } as const;
      const { token } = await createToken(wanted, anna.asker, trial().uses);
      const link = await issuePasswordLink('anna', local, trial().uses);
      const offer = await beginTotp(anna, trial().uses);
      const timestamp = trial().uses.clock.nowMs();
      const first = new TOTP({ secret: offer.key.reveal() }).generate({ timestamp });
      const confirm = { userId: anna.userId, flow: offer.flow, code: first, keepSession: anna.session.id };
      const { recoveryCodes } = await confirmTotp(confirm, '::1', trial().uses);
      const secrets = [goodPassword, typo, token, link, offer.key, offer.flow, anna.signedIn.session, ...recoveryCodes];
      const found: string[] = [];
      for (const table of authTables) {
        const rows = JSON.stringify(await trial().uses.catalogue.db.selectFrom(table).selectAll().execute());
        found.push(
          ...[...secrets, ...(code ? [code] : [])].filter((one) => rows.includes(one.reveal())).map(() => table),
        );
      }
      expect(found).toEqual([]);
      const actions = (await listAudit({}, trial().uses)).entries.map((one) => `${one.action} ${one.outcome}`);
      for (const one of ['user.add done', 'sign-in refused', 'token.create done', 'user.password-link done']) {
        expect(actions).toContain(one);
      }
    });
  });
});
