/** Every route of the served document for everybody: who lacks the right is refused, who has it is not. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { insertRun } from '../../src/catalogue/runs.ts';
import { isAtLeast, type Role, roles } from '../../src/model/principal.ts';
import { type DocumentedRoute, documentedRoutes, sampleOf } from '../support/api-document.ts';
import { initCheaply } from '../support/cheap-repository.ts';
import { Serving } from '../support/serving.ts';

const serving = new Serving(
  `
repositories:
  main: { url: FOLDER/repo, password: { env: PW } }
  harbour: { url: FOLDER/harbour, password: { env: PW }, workspace: shop }
policies:
  nightly: { schedule: "0 2 * * *", repositories: [main] }
  moored: { schedule: "0 3 * * *", repositories: [harbour], workspace: shop }
workspaces: { shop: { title: Shop } }
sources:
  ledger: { driver: files, paths: [FOLDER/ledger], policy: nightly }
  second: { driver: files, paths: [FOLDER/second], policy: nightly }
  orders: { driver: files, paths: [FOLDER/orders], policy: moored, workspace: shop }
`,
  { PW: 'pw' },
);
let routes: DocumentedRoute[];
/** Values by name for requests about the default workspace. */
let known: Record<string, unknown>;

beforeAll(async () => {
  for (const name of ['ledger', 'second', 'orders']) serving.write(`${name}/file.txt`, name);
  for (const name of ['repo', 'harbour']) await initCheaply(serving.path(name), 'pw');
  await serving.ok('backup', '--all');
  await serving.ok('backup', 'ledger');
  await serving.start();
  routes = await documentedRoutes(serving);
  const catalogue = await serving.catalogue();
  const asked = { kind: 'backup', host: 'local', trigger: 'manual', attempt: 1, askedBy: 'test', input: {} } as const;
  const notBeforeMs = Date.now() + 3_600_000_000;
  const run = await insertRun(catalogue, { ...asked, source: 'ledger', repository: 'main', notBeforeMs });
  await insertRun(catalogue, { ...asked, source: 'orders', repository: 'harbour', notBeforeMs });
  const { snapshots } = await serving.json<{ snapshots: { id: string; source: string }[] }>('/api/snapshots', {
    held: 'viewer',
  });
  const ids = snapshots.filter((one) => one.source === 'ledger').map((one) => one.id);
  known = {
    ...{ source: 'ledger', sources: ['ledger'], repository: 'main', policy: 'nightly', id: run.id },
    ...{ snapshot: ids[0], snapshots: [ids[0]], before: ids[0], after: ids[1], patterns: ['file*'] },
    ...{ look: false, dryRun: true, code: 'run.unknown', targets: ['ledger'], from: 'main', to: 'harbour' },
  };
});

afterAll(() => serving.dispose());

async function statusOf(
  route: DocumentedRoute,
  headers: Record<string, string>,
): Promise<{ status: number; text: string }> {
  const { path, init } = sampleOf(route, route.path.includes('{after}') ? known : { ...known, after: 0 });
  const abort = new AbortController();
  const all = { 'sec-fetch-site': 'same-origin', ...headers };
  if (init.body) Object.assign(all, { 'content-type': 'application/json' });
  const response = await fetch(`${serving.url}${path}`, {
    ...init,
    headers: all,
    redirect: 'manual',
    signal: abort.signal,
  });
  const text = route.streams && response.ok ? '' : await response.text();
  abort.abort();
  return { status: response.status, text };
}

const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` });
const needs = (route: DocumentedRoute): Role | undefined => roles.find((one) => one === route.permission);

describe('every route', () => {
  it('says what it needs', () => {
    expect(routes.length).toBeGreaterThan(40);
    const strange = routes.filter((one) => !['anyone', 'signed-in', ...roles].includes(one.permission));
    expect(strange).toEqual([]);
    // What is open to anyone is open on purpose.
    const open = routes.filter((one) => one.permission === 'anyone').map((one) => one.id);
    expect(new Set(open)).toEqual(
      new Set([
        ...['beginOidc', 'beginPasskeySignIn', 'completeOidc', 'listErrors', 'openDownload', 'setUp', 'showError'],
        ...['showHealth', 'showFront', 'showLive', 'showMetrics', 'showOpenApi', 'showSignIn', 'signInWithPasskey'],
        ...['signInWithPassword', 'signInWithSecondFactor', 'usePasswordLink'],
      ]),
    );
  });

  it('is refused to who brings nothing, or something that is no token', async () => {
    for (const route of routes) {
      if (route.permission === 'anyone') continue;
      const forged: Record<string, string>[] = [
        {},
        bearer('hf_nothing'),
        { authorization: 'Basic YTpi' },
        { cookie: 'holdfast-session=nothing' },
      ];
      for (const headers of forged) {
        expect((await statusOf(route, headers)).status, `${route.id} ${JSON.stringify(headers)}`).toBe(401);
      }
    }
  });

  it('is refused to every role that lacks the right', async () => {
    for (const route of routes) {
      const needed = needs(route);
      if (!needed) continue;
      for (const role of ['none', ...roles.filter((one) => !isAtLeast(one, needed))]) {
        const { token, session } = await serving.person(role);
        for (const headers of [bearer(token), { cookie: `holdfast-session=${session}` }]) {
          expect((await statusOf(route, headers)).status, `${route.id} for ${role}`).toBe(403);
        }
      }
    }
  });

  it('is not refused to the least role that has the right', async () => {
    for (const route of routes) {
      const needed = needs(route);
      if (!needed) continue;
      // Signed in: a token may not do all that its owner may.
      const { session } = await serving.person(needed);
      const { status, text } = await statusOf(route, { cookie: `holdfast-session=${session}` });
      expect([401, 403], `${route.id} for ${needed}: ${status} ${text.slice(0, 300)}`).not.toContain(status);
      expect(status, `${route.id}: ${text.slice(0, 300)}`).toBeLessThan(500);
    }
  }, 120_000);

  it('is refused, or tells nothing, to an owner of another workspace', async () => {
    for (const route of routes) {
      if (!needs(route)) continue;
      const { token } = await serving.person('owner:shop');
      const { status, text } = await statusOf(route, bearer(token));
      if (status === 403 || status === 404) continue;
      expect(status, `${route.id}: ${text.slice(0, 300)}`).toBeLessThan(400);
      for (const word of ['ledger', 'second', 'main', 'nightly']) expect(text, route.id).not.toContain(`"${word}"`);
    }
  });

  it('is refused, or tells nothing of other sources, to a token that is held to one', async () => {
    for (const route of routes) {
      if (!needs(route)) continue;
      const { token } = await serving.person('owner:default:second');
      const { status, text } = await statusOf(route, bearer(token));
      if (status === 403 || status === 404) continue;
      expect(status, `${route.id}: ${text.slice(0, 300)}`).toBeLessThan(400);
      for (const word of ['ledger', 'orders', 'harbour', 'moored']) expect(text, route.id).not.toContain(`"${word}"`);
    }
  });
});
