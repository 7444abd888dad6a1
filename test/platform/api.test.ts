import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type App, createApp } from '../../src/api/app.ts';
import type { ProblemDocument } from '../../src/api/contract.ts';
import type { ApiParts } from '../../src/api/parts.ts';
import { listAudit } from '../../src/auth/access/audit.ts';
import { startSession } from '../../src/auth/access/sessions.ts';
import { systemClock } from '../../src/base/clock.ts';
import { createLog } from '../../src/base/log.ts';
import { Secret } from '../../src/base/secrets.ts';
import { recordHappening } from '../../src/catalogue/happenings.ts';
import { type Catalogue, openCatalogue } from '../../src/catalogue/open.ts';
import { drivers } from '../../src/drivers/registry.ts';
import { hostKinds, localHost } from '../../src/hosts/registry.ts';
import { silent } from '../../src/model/run.ts';
import { backup } from '../../src/operations/backup/backup.ts';
import { loadConfig } from '../../src/operations/configuration/configuration.ts';
import type { SourceAccess } from '../../src/operations/operation.ts';
import { repoInit } from '../../src/operations/repositories/repo.ts';
import { storageKinds } from '../../src/storage/registry.ts';
import { addPerson, type Person } from '../support/api-people.ts';

/** Tokens of this test by what they hold: `ROLE`, `ROLE:WORKSPACE`, `ROLE:WORKSPACE:SOURCE`. */
const people = new Map<string, Person>();

async function person(held: string): Promise<Person> {
  const known = people.get(held) ?? (await addPerson(catalogue, held));
  people.set(held, known);
  return known;
}

let folder: string;
let catalogue: Catalogue;
let access: SourceAccess;
let app: App;
const stopping = new AbortController();

function partsOf(): ApiParts {
  return {
    clock: systemClock,
    log: createLog({ level: 'silent' }),
    catalogue,
    access: () => access,
    sealing: { seal: (clear) => clear.reveal(), open: (sealed) => new Secret(sealed) },
    oidc: () => undefined,
    readiness: async () => ({ ready: true, checks: {} }),
    renderMetrics: async () => '',
    stopping: stopping.signal,
    settings: { trustedProxies: ['10.0.0.1'], openMetrics: false, mostBodyBytes: 100_000 },
  };
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-api-'));
  await mkdir(join(folder, 'notes'));
  await writeFile(join(folder, 'notes/a.txt'), 'a note');
  await mkdir(join(folder, 'secret'));
  await writeFile(join(folder, 'secret/b.txt'), 'another');
  const file = join(folder, 'holdfast.yaml');
  await writeFile(
    file,
    `repositories: { main: { url: ${folder}/repo, password: { env: PW } } }
sources:
  notes: { driver: files, paths: [${folder}/notes], repository: main }
  secret: { driver: files, paths: [${folder}/secret], repository: main }
`,
  );
  const kinds = { drivers, storageKinds, hostKinds, channelKinds: [] };
  const config = await loadConfig(file, kinds);
  access = {
    ...kinds,
    config,
    env: { PW: 'x', HOLDFAST_CACHE: 'off', HOLDFAST_STATE: join(folder, 'state') },
    localHost: () => localHost(),
    openContainers: async () => undefined,
  };
  catalogue = await openCatalogue({ kind: 'sqlite', path: ':memory:' }, () => systemClock.nowMs());
  const execution = { clock: systemClock, signal: new AbortController().signal, report: silent };
  await repoInit.run({ repository: 'main' }, { ...access, ...execution });
  await backup.run(backup.input.parse({ all: true }), { ...access, ...execution });
  app = createApp(partsOf());
}, 60_000);

afterAll(async () => {
  await catalogue?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

interface Told {
  readonly token?: string;
  readonly method?: string;
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
}

async function ask(path: string, { token, method = 'GET', body, headers = {} }: Told = {}): Promise<Response> {
  const request = new Request(`http://localhost${path}`, {
    method,
    headers: {
      host: 'localhost',
      ...(token ? { authorization: `Bearer ${(await person(token)).token}` } : {}),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  return await app.fetch(request, { peer: '127.0.0.1', secure: false });
}

async function problem(response: Response): Promise<ProblemDocument> {
  expect(response.headers.get('content-type')).toBe('application/problem+json');
  return (await response.json()) as ProblemDocument;
}

describe('who asks', () => {
  it('is refused without a token, with a code and a remedy', async () => {
    const response = await ask('/api/sources');
    expect(response.status).toBe(401);
    expect(response.headers.get('www-authenticate')).toContain('Bearer');
    expect(await problem(response)).toMatchObject({ code: 'auth.required', status: 401 });
  });

  it('is refused with too small a role, before anything else is said', async () => {
    const response = await ask('/api/pins', { token: 'viewer', method: 'POST', body: 'no JSON' });
    expect(response.status).toBe(403);
    expect((await problem(response)).code).toBe('auth.forbidden');
  });

  it('sees only the sources a token is held to', async () => {
    const response = await ask('/api/sources', { token: 'admin:default:notes' });
    const { sources } = (await response.json()) as { sources: { name: string }[] };
    expect(sources.map((one) => one.name)).toEqual(['notes']);
    expect((await ask('/api/sources/secret', { token: 'admin:default:notes' })).status).toBe(403);
    expect((await ask('/api/sources/none', { token: 'admin:default:notes' })).status).toBe(403);
    expect((await ask('/api/sources/none', { token: 'admin' })).status).toBe(404);
  });

  it('makes a token with a sign-in of the last quarter of an hour only: it outlives the session', async () => {
    await person('viewer');
    const account = await catalogue.db.selectFrom('account').select(['id', 'name']).executeTakeFirstOrThrow();
    const origin = { address: '::1', agent: 'a browser' };
    const { session } = await startSession(account, 'password', origin, { catalogue, clock: systemClock });
    const make = async (title: string, laterMs: number): Promise<Response> => {
      const clock = { ...systemClock, nowMs: () => systemClock.nowMs() + laterMs };
      const headers = {
        ...{ cookie: `holdfast-session=${session.reveal()}`, 'sec-fetch-site': 'same-origin' },
        'content-type': 'application/json',
      };
      const body = JSON.stringify({ title });
      const request = new Request('http://localhost/api/tokens', { method: 'POST', headers, body });
      return await createApp({ ...partsOf(), clock }).fetch(request, { peer: '::1', secure: false });
    };
    expect((await make('now', 0)).status).toBe(200);
    expect(await problem(await make('later', 20 * 60_000))).toMatchObject({ code: 'auth.refused' });
  });

  it('hears no more of a source that has come to another workspace', async () => {
    const { config } = access;
    const inWorkspace = (workspace: string): SourceAccess => {
      const sources = new Map([...config.sources].map(([name, source]) => [name, { ...source, workspace }]));
      return { ...access, config: { ...config, sources } };
    };
    let now = inWorkspace('default');
    let laterMs = 0;
    const clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + laterMs };
    const following = createApp({ ...partsOf(), clock, access: () => now });
    const { token } = await person('viewer:default');
    const request = new Request('http://localhost/api/events/stream', {
      headers: { authorization: `Bearer ${token}` },
    });
    const response = await following.fetch(request, { peer: '::1', secure: false });
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    const happens = (title: string) =>
      recordHappening(catalogue, { type: 'backup.succeeded', title, source: 'notes', facts: {} });
    const heard = async (): Promise<string> => (await reader.read()).value ?? 'the end';
    expect(await heard()).toContain('retry');
    await happens('the first');
    expect(await heard()).toContain('the first');
    now = inWorkspace('elsewhere');
    laterMs = 60_000;
    await happens('the second');
    expect(await heard()).toBe('the end');
  });

  it('reads only the snapshots a token is held to, whatever it calls them', async () => {
    const all = (await (await ask('/api/snapshots', { token: 'viewer' })).json()) as {
      snapshots: { id: string; source: string }[];
    };
    expect(all.snapshots).toHaveLength(2);
    const secret = all.snapshots.find((one) => one.source === 'secret')!;
    const token = 'restorer:default:notes';
    for (const name of [secret.id, secret.id.slice(0, 8), 'secret', 'secret@latest', 'latest']) {
      expect((await ask(`/api/snapshots/${name}/files`, { token })).status, name).toBe(403);
    }
    const own = await ask('/api/snapshots/notes@latest/files', { token });
    expect(own.status).toBe(200);
    expect(JSON.stringify(await own.json())).toContain('a.txt');
    const listed = (await (await ask('/api/snapshots', { token })).json()) as typeof all;
    expect(listed.snapshots.map((one) => one.source)).toEqual(['notes']);
    expect((await ask('/api/files?patterns=*', { token })).status).toBe(403);
  });

  it('cannot make the server open a repository that is not declared', async () => {
    const path = `/api/snapshots?repository=${encodeURIComponent(`${folder}/repo`)}`;
    expect((await ask(path, { token: 'owner' })).status).toBe(404);
    expect((await ask(path, { token: 'viewer:default' })).status).toBe(403);
    expect((await ask('/api/repositories/s3:https:%2F%2Fevil%2Fb/statistics', { token: 'owner' })).status).toBe(404);
  });

  it('has to come from our own pages to change something with a cookie', async () => {
    const body = { snapshots: ['notes'] };
    const cookie = `holdfast-session=${(await person('operator')).session}`;
    const from = async (headers: Record<string, string>): Promise<number> =>
      (await ask('/api/pins', { method: 'POST', body, headers: { cookie, ...headers } })).status;
    expect(await from({})).toBe(403);
    expect(await from({ origin: 'https://evil.example' })).toBe(403);
    expect(await from({ 'sec-fetch-site': 'cross-site', origin: 'http://localhost' })).toBe(403);
    expect(await from({ 'sec-fetch-site': 'same-origin' })).toBe(200);
    expect(await from({ origin: 'http://localhost' })).toBe(200);
  });
});

describe('a request', () => {
  it('is refused with what is wrong with it', async () => {
    const cases: [string, Told, number][] = [
      ['/api/pins', { method: 'POST', body: 'no JSON' }, 400],
      ['/api/pins', { method: 'POST', body: '"text"' }, 400],
      ['/api/pins', { method: 'POST', body: { snapshots: ['notes'], other: 1 } }, 400],
      ['/api/pins', { method: 'POST', body: 'x', headers: { 'content-type': 'text/plain' } }, 415],
      ['/api/pins', { method: 'POST', body: { snapshots: ['x'.repeat(200_000)] } }, 413],
      ['/api/snapshots/notes/files?limit=many', {}, 400],
      ['/api/snapshots/notes/files?unknown=1', {}, 400],
      ['/api/nothing', {}, 404],
      ['/api/pins', { method: 'DELETE' }, 405],
      ['/api/sources/%00', {}, 404],
    ];
    for (const [path, told, status] of cases) {
      const response = await ask(path, { token: 'owner', ...told });
      expect(response.status, `${path} ${JSON.stringify(told).slice(0, 80)}`).toBe(status);
      await problem(response);
    }
  });

  it('that is repeated under its idempotency key is performed once', async () => {
    const headers = { 'idempotency-key': 'first' };
    const told = { token: 'operator', method: 'POST', body: { snapshots: ['notes'] }, headers };
    const first = await (await ask('/api/pins', told)).text();
    expect(await (await ask('/api/pins', told)).text()).toBe(first);
    const other = await ask('/api/pins', { ...told, body: { snapshots: ['secret'] } });
    expect((await problem(other)).code).toBe('request.conflict');
    expect((await ask('/api/pins', { ...told, token: 'admin' })).status).toBe(200);
    const { entries } = await listAudit(
      { action: 'pin', outcome: 'failed', actor: `${(await person('operator')).name}/operator` },
      { catalogue },
    );
    expect(entries).toMatchObject([{ facts: { code: 'request.conflict' } }]);
  });

  it('is known by the address that trusted proxies saw', async () => {
    const pinned = async (peer: string): Promise<string | undefined> => {
      const request = new Request('http://localhost/api/pins', {
        method: 'POST',
        body: JSON.stringify({ snapshots: ['notes'] }),
        headers: {
          authorization: `Bearer ${(await person('operator')).token}`,
          'content-type': 'application/json',
          'x-forwarded-for': '6.6.6.6, 9.9.9.9',
        },
      });
      await app.fetch(request, { peer, secure: false });
      return (await listAudit({ action: 'pin' }, { catalogue })).entries[0].address;
    };
    expect(await pinned('127.0.0.1')).toBe('127.0.0.1');
    expect(await pinned('10.0.0.1')).toBe('9.9.9.9');
  });
});

describe('an answer', () => {
  it('says that nothing of it is run, framed or kept', async () => {
    const { headers } = await ask('/api/sources', { token: 'viewer' });
    expect(headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('access-control-allow-origin')).toBeNull();
  });

  it('of a long list comes in pages, or whole as lines', async () => {
    const path = '/api/snapshots/notes/files';
    const read: string[] = [];
    let cursor: string | null = '0';
    while (cursor !== null) {
      const response = await ask(`${path}?limit=1&cursor=${cursor}`, { token: 'restorer' });
      const page = (await response.json()) as { items: { path: string }[]; next: string | null };
      expect(page.items.length).toBeLessThanOrEqual(1);
      read.push(...page.items.map((one) => one.path));
      cursor = page.next;
    }
    const lines = await ask(path, { token: 'restorer', headers: { accept: 'application/x-ndjson' } });
    const documents = (await lines.text())
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { type: string; item?: { path: string } });
    expect(documents.at(-1)).toMatchObject({ type: 'result', repository: 'main' });
    expect(documents.slice(0, -1).map((one) => one.item?.path)).toEqual(read);
    expect(read.some((one) => one.endsWith('a.txt'))).toBe(true);
  });

  it('of a list that cannot be begun is a problem, also as lines', async () => {
    const response = await ask('/api/snapshots/gone/files', {
      token: 'restorer',
      headers: { accept: 'application/x-ndjson' },
    });
    expect((await problem(response)).code).toBe('snapshot.unknown');
  });

  it('to who hangs up in the middle of a request is no fault of ours', async () => {
    const body = new ReadableStream({
      pull: (controller) => controller.error(Object.assign(new Error('aborted'), { code: 'ECONNRESET' })),
    });
    const headers = { 'content-type': 'application/json' };
    const request = new Request('http://localhost/api/sign-in/password', {
      method: 'POST',
      headers,
      body,
      duplex: 'half',
    });
    const response = await app.fetch(request, { peer: '::1', secure: false });
    expect(response.status).toBe(400);
    expect(await problem(response)).toMatchObject({
      code: 'request.invalid',
      detail: expect.stringContaining('cut off'),
    });
  });

  it('to a fault of ours has a number and nothing else', async () => {
    const broken = createApp({
      ...partsOf(),
      readiness: async () => {
        throw new Error('/etc/secret broke at line 7');
      },
    });
    const response = await broken.fetch(new Request('http://localhost/health'), { peer: '::1', secure: false });
    const text = await response.text();
    expect(response.status).toBe(500);
    expect(text).not.toContain('secret');
    expect(text).toMatch(/#[0-9A-Z]{26}"/);
  });
});
