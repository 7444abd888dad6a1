/** Links to files: used up and held open only by who reads them, and given only as long as their maker might read that. */
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { get, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { createApp } from '../../src/api/app.ts';
import type { ApiParts } from '../../src/api/parts.ts';
import { setDisabled } from '../../src/auth/index.ts';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { createLog } from '../../src/base/log.ts';
import { Secret } from '../../src/base/secrets.ts';
import { type Catalogue, openCatalogue } from '../../src/catalogue/open.ts';
import { parseConfig } from '../../src/config/index.ts';
import { type Listening, listen } from '../../src/daemon/http-server.ts';
import { drivers } from '../../src/drivers/registry.ts';
import { hostKinds, localHost } from '../../src/hosts/registry.ts';
import { localPrincipal } from '../../src/model/principal.ts';
import { silent } from '../../src/model/run.ts';
import { backup } from '../../src/operations/backup/backup.ts';
import type { SourceAccess } from '../../src/operations/operation.ts';
import { storageKinds } from '../../src/storage/registry.ts';
import { addPerson, type Person } from '../support/api-people.ts';
import { initCheaply } from '../support/cheap-repository.ts';

/** More than the buffers between two programs hold. */
const bigBytes = 32 << 20;
const kinds = { drivers, storageKinds, hostKinds, channelKinds: [] };
const root = { principal: localPrincipal('root') };
let folder: string;
let catalogue: Catalogue;
let access: SourceAccess;
let laterMs = 0;
const clock: Clock = { ...systemClock, nowMs: () => systemClock.nowMs() + laterMs };
let server: Listening;

function configured(names: readonly string[], workspace = 'default') {
  const sources = names.map(
    (name) => `  ${name}: { driver: files, paths: [${folder}/${name}], repository: main, workspace: ${workspace} }`,
  );
  const text = `workspaces: { shop: { title: Shop } }
repositories: { main: { url: ${folder}/repo, password: { env: PW } } }
sources:
${sources.join('\n')}
`;
  return parseConfig(join(folder, 'holdfast.yaml'), Buffer.from(text), kinds);
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-downloads-'));
  for (const name of ['notes', 'ledger']) {
    mkdirSync(join(folder, name));
    writeFileSync(join(folder, name, 'a.txt'), `of ${name}`);
  }
  writeFileSync(join(folder, 'notes/big'), Buffer.alloc(bigBytes));
  await initCheaply(join(folder, 'repo'), 'pw');
  const host = localHost();
  access = {
    ...kinds,
    config: configured(['notes', 'ledger']),
    env: { PW: 'pw', HOLDFAST_CACHE: 'off', HOLDFAST_STATE: join(folder, 'state') },
    localHost: () => host,
    openContainers: async () => undefined,
  };
  catalogue = await openCatalogue({ kind: 'sqlite', path: ':memory:' }, () => clock.nowMs());
  const signal = new AbortController().signal;
  await backup.run(backup.input.parse({ all: true }), { ...access, clock, signal, report: silent });
  const log = createLog({ level: 'silent' });
  const parts: ApiParts = {
    ...{ clock, log, catalogue, access: () => access, oidc: () => undefined, stopping: signal },
    sealing: { seal: (clear) => clear.reveal(), open: (sealed) => new Secret(sealed) },
    readiness: async () => ({ ready: true, checks: {} }),
    renderMetrics: async () => '',
    settings: { trustedProxies: [], openMetrics: true, mostBodyBytes: 100_000 },
  };
  const settings = { listen: { host: '127.0.0.1', port: 0 } };
  server = await listen({ app: createApp(parts), settings, clock, log, secret: async () => new Secret('') });
}, 60_000);

afterAll(async () => {
  await server?.close(0);
  await catalogue?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

beforeEach(() => {
  access = { ...access, config: configured(['notes', 'ledger']) };
  laterMs = 0;
});

/** A link, or the status of the refusal. */
async function make({ token }: Person, source: string, file = 'a.txt'): Promise<string> {
  const response = await fetch(`${server.url}/api/downloads`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ snapshot: source, path: join(folder, source, file) }),
  });
  const { url } = (await response.json()) as { url?: string };
  return url ?? String(response.status);
}

/** What following a link gives: the text, or status and code of the problem. */
async function follow(url: string, headers: Record<string, string> = {}): Promise<string> {
  const response = await fetch(url, { headers });
  if (response.ok) return await response.text();
  const { code } = (await response.json()) as { code: string };
  return `${response.status} ${code}`;
}

/** Of the repository; one that is held keeps prune away. */
async function unlocked(): Promise<void> {
  const locks = () => readdirSync(join(folder, 'repo/locks'));
  await vi.waitFor(() => expect(locks()).toEqual([]), { timeout: 10_000, interval: 20 });
}

describe('a link', () => {
  let anna: Person;
  beforeAll(async () => {
    anna = await addPerson(catalogue, 'restorer');
  });

  test('is neither used up nor opened by HEAD', async () => {
    const url = await make(anna, 'notes');
    const head = await fetch(url, { method: 'HEAD' });
    expect([head.status, head.headers.get('allow'), await head.text()]).toEqual([405, 'GET', '']);
    await unlocked();
    expect([await follow(url), await follow(url)]).toEqual(['of notes', '404 object.unknown']);
    await unlocked();
  });

  test('gives the whole file to who asks for a part', async () => {
    const response = await fetch(await make(anna, 'notes'), { headers: { range: 'bytes=3-4' } });
    expect([response.status, response.headers.get('accept-ranges')]).toEqual([200, 'none']);
    expect(await response.text()).toBe('of notes');
    await unlocked();
  });

  test('holds the repository no longer than somebody reads it', async () => {
    const url = await make(anna, 'notes', 'big');
    const [answer] = (await once(get(url), 'response')) as [NodeJS.ReadableStream & { destroy(): void }];
    await once(answer, 'readable');
    expect(readdirSync(join(folder, 'repo/locks'))).toHaveLength(1);
    answer.destroy();
    await unlocked();
    expect(await follow(url)).toBe('404 object.unknown');
  });

  test('lets go of the repository when who asked is gone before the answer', async () => {
    const url = await make(anna, 'notes', 'big');
    const asked = request(url).on('error', () => undefined);
    asked.end();
    await once(asked, 'finish');
    asked.destroy();
    const { db } = catalogue;
    const unused = db.selectFrom('download').select('usedAtMs').where('usedAtMs', 'is', null);
    await vi.waitFor(async () => expect(await unused.execute()).toEqual([]), { timeout: 10_000 });
    await unlocked();
  });

  test('holds nothing when it cannot be written down that it was followed', async () => {
    const url = await make(anna, 'notes');
    await catalogue.db.schema.alterTable('audit').renameTo('away').execute();
    try {
      expect(await follow(url)).toBe('500 internal');
    } finally {
      await catalogue.db.schema.alterTable('away').renameTo('audit').execute();
    }
    await unlocked();
  });
});

describe('a link of a token that is held to some sources', () => {
  let token: Person;
  beforeEach(async () => {
    token = await addPerson(catalogue, 'restorer:default:notes');
  });
  const change = async (values: { sources?: string; role?: string; workspace?: string; expiresAtMs?: number }) =>
    await catalogue.db.updateTable('token').set(values).where('userId', '=', token.userId).execute();

  test('gives what belongs to those, and is not made for anything else', async () => {
    expect(await follow(await make(token, 'notes'))).toBe('of notes');
    expect(await make(token, 'ledger')).toBe('403');
  });

  test('is refused when the token is held to others by then', async () => {
    const url = await make(token, 'notes');
    await change({ sources: JSON.stringify(['ledger']) });
    expect(await follow(url)).toBe('403 auth.forbidden');
    await unlocked();
  });

  test('is refused when the token may less, or is for another workspace', async () => {
    const urls = [await make(token, 'notes'), await make(token, 'notes')];
    await change({ role: 'viewer' });
    expect(await follow(urls[0])).toBe('403 auth.forbidden');
    await change({ role: 'restorer', workspace: 'shop' });
    expect(await follow(urls[1])).toBe('403 auth.forbidden');
  });

  test('is refused when the token has expired', async () => {
    const [url, another] = [await make(token, 'notes'), await make(token, 'notes')];
    await change({ expiresAtMs: clock.nowMs() + 60_000 });
    expect(await follow(url)).toBe('of notes');
    laterMs = 61_000;
    expect(await follow(another)).toBe('403 auth.forbidden');
  });

  test('is refused when its owner may less', async () => {
    const url = await make(token, 'notes');
    await catalogue.db.updateTable('membership').set({ role: 'viewer' }).where('userId', '=', token.userId).execute();
    expect(await follow(url)).toBe('403 auth.forbidden');
  });

  test('is gone when its owner is disabled, whoever writes that down', async () => {
    const urls = [await make(token, 'notes'), await make(token, 'notes')];
    const db = catalogue.db.updateTable('account').where('id', '=', token.userId);
    await db.set({ disabled: 1 }).execute();
    expect(await follow(urls[0])).toBe('403 auth.forbidden');
    await db.set({ disabled: 0 }).execute();
    await setDisabled({ name: token.name, disabled: true }, root, { catalogue, clock });
    expect(await follow(urls[1])).toBe('404 object.unknown');
  });

  test('is refused when the source is in another workspace by then, or not declared any more', async () => {
    const urls = [await make(token, 'notes'), await make(token, 'notes')];
    access = { ...access, config: configured(['notes', 'ledger'], 'shop') };
    expect(await follow(urls[0])).toBe('403 auth.forbidden');
    access = { ...access, config: configured(['ledger']) };
    expect(await follow(urls[1])).toBe('403 auth.forbidden');
  });
});
