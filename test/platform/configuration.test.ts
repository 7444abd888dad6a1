/** A server follows its configuration: changed by hand, applied, refused, and through the API. */
import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { initCheaply } from '../support/cheap-repository.ts';
import { Serving } from '../support/serving.ts';

const password = 'a password that is long';
const serving = new Serving(
  `
repositories: { main: { url: FOLDER/repo, password: { env: PW } } }
policies: { nightly: { schedule: "0 2 * * *", repositories: [main] } }
sources: { notes: { driver: files, paths: [FOLDER/notes], policy: nightly } }
`,
  { PW: password },
);
let first: string;

beforeAll(async () => {
  serving.write('notes/a.txt', 'a note');
  await initCheaply(serving.path('repo'), password);
  first = readFileSync(serving.path('holdfast.yaml'), 'utf8');
  await serving.start();
});
afterAll(() => serving.dispose());

const change = (from: string, to: string): void =>
  writeFileSync(serving.path('holdfast.yaml'), first.replace(from, to));

async function events(): Promise<string[]> {
  const { events: found } = await serving.json<{ events: { type: string; title: string }[] }>('/api/events?limit=20', {
    held: 'admin',
  });
  return found.filter((one) => one.type.startsWith('config.')).map((one) => `${one.type}: ${one.title}`);
}

const sources = async (): Promise<string[]> =>
  (await serving.json<{ sources: { name: string }[] }>('/api/sources', { held: 'admin' })).sources.map(
    (one) => one.name,
  );

describe('a running server', () => {
  test('takes up what is applied, and refuses what has errors while the one before stays', async () => {
    change('sources: {', 'sources: { more: { driver: files, paths: [/etc/hosts], policy: nightly },');
    const applied = JSON.parse(await serving.ok('--json', 'apply')) as { server: string };
    expect(applied.server).toBe('taken');
    expect(await sources()).toEqual(['more', 'notes']);
    change('policy: nightly', 'policy: nigthly');
    expect((await serving.run(['apply'])).status).toBe(2);
    await vi.waitFor(async () => expect((await events())[0]).toContain('config.refused: '), 20_000);
    expect(await sources()).toEqual(['more', 'notes']);
    change('', '');
    expect(JSON.parse(await serving.ok('--json', 'apply'))).toMatchObject({ server: 'taken' });
    expect(await sources()).toEqual(['notes']);
  });

  test('keeps what is made over HTTP beside the file, seals its secrets, and lets no other role do so', async () => {
    const at = '/api/configuration/objects/sources/shop';
    const value = {
      driver: 'postgres',
      url: 'postgres://holdfast@db/shop',
      password: 'geheim-geheim-geheim',
      policy: 'nightly',
    };
    const put = (held: string, body: object) => serving.ask(at, { method: 'PUT', held, body: JSON.stringify(body) });
    expect((await put('operator', { value })).status).toBe(403);
    expect((await put('admin:default', { value })).status).toBe(403);
    const wrong = await put('admin', { value: { ...value, policy: 'none' } });
    expect(wrong.status).toBe(422);
    expect(await wrong.text()).toContain('names the policy «none»');
    expect((await put('admin', { value })).status).toBe(200);
    await vi.waitFor(async () => expect(await sources()).toEqual(['notes', 'shop']), 20_000);
    const got = await serving.ask(at, { held: 'admin' });
    const told = [await got.text(), await serving.ok('export'), serving.output, await serving.ok('object', 'list')];
    expect(told.join('\n')).not.toContain('geheim');
    expect(told[0]).toContain('sources.shop.password');
    writeFileSync(serving.path('holdfast.yaml'), first.replaceAll('nightly', 'daily'));
    const refused = await serving.run(['apply']);
    expect(refused.status).toBe(2);
    expect(refused.stderr).toContain('sources.shop.policy names the policy «nightly»');
    change('', '');
    expect((await serving.ask(at, { method: 'DELETE', held: 'admin' })).status).toBe(200);
    await vi.waitFor(async () => expect(await sources()).toEqual(['notes']), 20_000);
  });

  test('reads its file again at once when it is asked to, and is not ended by it', async () => {
    change('sources: {', 'sources: { asked: { driver: files, paths: [/etc/hosts], policy: nightly },');
    serving.child.kill('SIGHUP');
    await vi.waitFor(async () => expect(await sources()).toEqual(['asked', 'notes']), 20_000);
    expect(serving.child.exitCode).toBeNull();
    change('', '');
  });

  test('lets nobody read its metrics without a token any more, and is called by another address, as soon as its file says so', async () => {
    const metrics = async (): Promise<number> => (await fetch(`${serving.url}/metrics`)).status;
    const front = async (): Promise<string> => await (await fetch(serving.url)).text();
    change('server: {', 'server: { url: "https://backup.example", metrics: { open: true },');
    await serving.ok('apply');
    expect(await metrics()).toBe(200);
    expect(await front()).toContain('--server https://backup.example');
    change('', '');
    await serving.ok('apply');
    expect(await metrics()).toBe(401);
    expect(await front()).not.toContain('backup.example');
  });

  test('does not start without its key while secrets are sealed, and makes none', async () => {
    const body = JSON.stringify({ value: { ssh: 'root@box', password: 'geheim-geheim-geheim' } });
    expect(
      (await serving.ask('/api/configuration/objects/hosts/box', { method: 'PUT', held: 'admin', body })).status,
    ).toBe(200);
    await serving.stop();
    const key = readFileSync(serving.path('state/server.key'), 'utf8');
    writeFileSync(serving.path('state/server.key'), '');
    const { status, stderr } = await serving.run(['serve']);
    expect(status).toBe(2);
    expect(stderr).toContain('the server’s key is missing');
    expect(readFileSync(serving.path('state/server.key'), 'utf8')).toBe('');
    writeFileSync(serving.path('state/server.key'), key);
    await serving.start();
  });
});
