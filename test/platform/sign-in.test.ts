/** The ways to sign in over HTTP, with a real provider, an authenticator app and a passkey; and what is to be seen of it. */
import { TOTP } from 'otpauth';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type OidcServer, signInAtProvider, startOidc } from '../servers/oidc.ts';
import { Serving } from '../support/serving.ts';
import { assert, newPasskey, register } from '../support/soft-authenticator.ts';

const url = 'http://localhost:8321';
const password = 'correct horse battery';
let provider: OidcServer;
let serving: Serving;
/** Everything that was answered, and everything that must not be told again. */
const secrets: string[] = [password];

beforeAll(async () => {
  provider = await startOidc({ redirectUri: `${url}/api/sign-in/oidc/callback` });
  provider.people.set('ben', { preferred_username: 'ben', groups: ['devs'] });
  // Away when the server starts: that keeps nobody out.
  await provider.stop();
  const oidc = `oidc: { issuer: "${provider.issuer}", clientId: holdfast, clientSecret: { env: OIDC_SECRET }, scopes: [openid, profile, groups], roles: { devs: { shop: restorer } } }`;
  serving = new Serving(
    'workspaces: { shop: { title: Shop } }\nusers:\n  olga: { role: owner }\n',
    { OIDC_SECRET: provider.clientSecret },
    `, url: "${url}", ${oidc}`,
  );
  secrets.push(provider.clientSecret);
  await serving.start();
});

afterAll(async () => {
  await serving?.dispose();
  await provider?.[Symbol.asyncDispose]();
});

interface Answer {
  readonly status: number;
  readonly location: string;
  // biome-ignore lint/suspicious/noExplicitAny: whatever the route answers
  readonly body: any;
}

/** A browser with a jar of its own. */
function browser() {
  const jar = new Map<string, string>();
  const seen: string[] = [];
  const go = async (method: string, path: string, body?: object): Promise<Answer> => {
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
    const headers = { cookie, 'sec-fetch-site': 'same-origin' };
    const response = await serving.ask(path, { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) });
    for (const line of response.headers.getSetCookie()) {
      seen.push(line);
      const [name, value] = line.split(';')[0].split('=');
      if (value === '') jar.delete(name);
      else jar.set(name, value);
      if (value !== '') secrets.push(value);
    }
    const text = await response.text();
    const isJson = /json/.test(response.headers.get('content-type') ?? '');
    return {
      status: response.status,
      location: response.headers.get('location') ?? '',
      body: isJson && text !== '' ? JSON.parse(text) : text,
    };
  };
  return { go, jar, seen };
}

/** Somebody at the keyboard, signed in by their password. */
async function signedIn(name: string) {
  const user = browser();
  expect((await user.go('POST', '/api/sign-in/password', { name, password })).status).toBe(200);
  return user;
}

test('a declared owner is made with the set-up code while the provider is away', async () => {
  const user = browser();
  expect((await user.go('GET', '/api/sign-in')).body).toEqual({ setUpNeeded: true, oidc: provider.issuer });
  const code = /set-up code (\S+)/.exec(serving.output)?.[1];
  expect((await user.go('POST', '/api/set-up', { code, name: 'olga', password })).status).toBe(200);
  expect(user.seen[0]).toMatch(/^holdfast-session=[0-9A-Za-z]{43}; Path=\/; Expires=.*; HttpOnly; SameSite=Strict$/);
  expect((await user.go('GET', '/api/me')).body).toMatchObject({ name: 'olga', roles: { '*': 'owner' } });
  const away = await user.go('GET', '/api/sign-in/oidc');
  expect(away).toMatchObject({ status: 503, body: { code: 'auth.provider' } });
  await provider.start();
});

test('the whole way through the provider, without starting anything anew; and none of it twice', async () => {
  const user = browser();
  const begun = await user.go('GET', '/api/sign-in/oidc?returnTo=/runs');
  expect(begun.status).toBe(302);
  expect(user.seen[0]).toMatch(/^holdfast-flow=.*HttpOnly; SameSite=Lax$/);
  const query = await signInAtProvider(begun.location, 'ben', provider);
  secrets.push(new URLSearchParams(query).get('code')!);
  const path = `/api/sign-in/oidc/callback?${query}`;
  expect((await browser().go('GET', path)).status).toBe(401);
  const kept = new Map(user.jar);
  expect(await user.go('GET', path)).toMatchObject({ status: 302, location: '/runs' });
  expect(user.jar.has('holdfast-flow')).toBe(false);
  expect((await user.go('GET', '/api/me')).body).toMatchObject({ name: 'ben', roles: { shop: 'restorer' } });
  const again = browser();
  for (const [name, value] of kept) again.jar.set(name, value);
  expect((await again.go('GET', path)).status).toBe(401);
  expect((await user.go('POST', '/api/sign-out', {})).status).toBe(204);
  expect((await user.go('GET', '/api/me')).status).toBe(401);
});

test('a link to the provider, on one’s own page', async () => {
  const user = await signedIn('olga');
  provider.people.set('olga.at.work', { groups: [] });
  const { body } = await user.go('POST', '/api/me/provider', { returnTo: '/me' });
  const query = await signInAtProvider(body.url, 'olga.at.work', provider);
  expect(await user.go('GET', `/api/sign-in/oidc/callback?${query}`)).toMatchObject({ status: 302, location: '/me' });
  expect((await user.go('GET', '/api/me/provider')).body).toEqual({ issuers: [provider.issuer] });
  expect((await user.go('DELETE', '/api/me/provider')).status).toBe(204);
  expect((await user.go('GET', '/api/me/provider')).body).toEqual({ issuers: [] });
});

test('a second factor, its recovery codes, and a passkey', async () => {
  const user = await signedIn('olga');
  const { flow, key } = (await user.go('POST', '/api/me/totp')).body;
  secrets.push(key);
  const totp = new TOTP({ secret: key });
  const confirmed = await user.go('POST', '/api/me/totp/confirm', { flow, code: totp.generate() });
  const { recoveryCodes } = confirmed.body;
  expect(recoveryCodes).toHaveLength(10);
  secrets.push(...recoveryCodes);
  const other = browser();
  const step = await other.go('POST', '/api/sign-in/password', { name: 'olga', password });
  expect(step.body).toEqual({ flow: expect.any(String) });
  expect((await other.go('GET', '/api/me')).status).toBe(401);
  const wrong = { flow: step.body.flow, code: '000000' };
  expect((await other.go('POST', '/api/sign-in/second-factor', wrong)).status).toBe(401);
  const right = { flow: step.body.flow, code: recoveryCodes[3] };
  expect((await other.go('POST', '/api/sign-in/second-factor', right)).status).toBe(200);
  const passkey = newPasskey();
  const begun = (await other.go('POST', '/api/me/passkeys/begin')).body;
  const response = register(passkey, begun.options, url);
  const added = await other.go('POST', '/api/me/passkeys', { flow: begun.flow, response, title: 'Laptop' });
  expect(added.status).toBe(201);
  const third = browser();
  const asked = (await third.go('POST', '/api/sign-in/passkey/begin')).body;
  const answer = { flow: asked.flow, response: assert(passkey, asked.options, url) };
  expect((await third.go('POST', '/api/sign-in/passkey', answer)).status).toBe(200);
  expect((await third.go('GET', '/api/me')).body).toMatchObject({ name: 'olga', session: { method: 'passkey' } });
});

test('after ten wrong passwords it says when to come back, and tells who is to know', async () => {
  const user = browser();
  const statuses: number[] = [];
  for (let i = 0; i < 11; i++) {
    const { status } = await user.go('POST', '/api/sign-in/password', { name: 'ben', password: `wrong password ${i}` });
    statuses.push(status);
  }
  expect(statuses).toEqual([...Array.from({ length: 10 }, () => 401), 429]);
  const catalogue = await serving.catalogue();
  const told = await catalogue.db
    .selectFrom('happening')
    .select('title')
    .where('type', '=', 'sign-in.refused')
    .execute();
  expect(told).toHaveLength(1);
});

test('none of the passwords, codes, keys, cookies and secrets is in the log or in the catalogue', async () => {
  const catalogue = await serving.catalogue();
  const tables = ['account', 'session', 'flow', 'audit', 'happening', 'attempt', 'passkey', 'idempotency'] as const;
  const rows = await Promise.all(tables.map((table) => catalogue.db.selectFrom(table).selectAll().execute()));
  const kept = JSON.stringify(rows);
  expect(secrets.length).toBeGreaterThan(20);
  expect(secrets.filter((one) => one.length < 6 || kept.includes(one) || serving.output.includes(one))).toEqual([]);
});
