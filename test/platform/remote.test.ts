/** The command line against a server elsewhere: the same commands, the same output. */
import { chmodSync, existsSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { initCheaply } from '../support/cheap-repository.ts';
import { type Outcome, Serving } from '../support/serving.ts';

const serving = new Serving(
  `
repositories: { main: { url: FOLDER/repo, password: { env: PW } } }
policies: { nightly: { schedule: "0 2 * * *", repositories: [main] } }
sources:
  notes: { driver: files, paths: [FOLDER/notes], policy: nightly }
  shop: { driver: sqlite, path: FOLDER/shop.db, policy: nightly }
  broken: { driver: files, paths: [FOLDER/nothing-there], repository: main }
`,
  { PW: 'pw' },
);

/** `holdfast --server URL ARGS` in a folder without a configuration. */
async function far(held: string, ...args: string[]): Promise<Outcome> {
  const { token } = await serving.person(held);
  const env = {
    HOLDFAST_TOKEN: token,
    HOLDFAST_SERVER: serving.url,
    HOLDFAST_CONFIG: '/nowhere/holdfast.yaml',
    PW: '',
  };
  return await serving.run(args, env);
}

async function ok(held: string, ...args: string[]): Promise<string> {
  const { status, stdout, stderr } = await far(held, ...args);
  expect(status, `${args.join(' ')}\n${stdout}\n${stderr}`).toBe(0);
  return stdout;
}

beforeAll(async () => {
  serving.write('notes/a.txt', 'a note');
  serving.write('notes/b.txt', 'another');
  const { DatabaseSync } = await import('node:sqlite');
  const db = new DatabaseSync(serving.path('shop.db'));
  db.exec("create table t (x); insert into t values ('sold')");
  db.close();
  await initCheaply(serving.path('repo'), 'pw');
  await serving.start();
});

afterAll(() => serving.dispose());

describe('a command with --server', () => {
  it('backs up over there, shows what happens, and says how it ended as it would here', async () => {
    const text = await ok('operator', 'backup', 'notes', 'shop');
    expect(text).toMatch(/✓ notes → main: snapshot [0-9a-f]{8}/);
    expect(text).toMatch(/✓ shop → main: snapshot [0-9a-f]{8}/);
    const failed = await far('operator', 'backup', 'broken');
    expect(failed.status).toBe(1);
    expect(failed.stdout + failed.stderr).toContain('nothing-there');
    const json = await far('operator', '--json', 'backup', 'notes');
    expect(JSON.parse(json.stdout.trimEnd().split('\n').at(-1)!)).toMatchObject({ type: 'result', ok: true });
  });

  it('lists, searches, compares, proves and pins as it would here', async () => {
    expect(await ok('viewer', 'snapshots')).toContain('3 snapshots');
    expect(await ok('restorer', 'ls', 'notes')).toContain('/notes/a.txt');
    expect(await ok('restorer', 'find', 'a.txt')).toContain('a.txt');
    expect(await ok('operator', 'drill', 'shop')).toContain('shop');
    expect(await ok('viewer', 'proofs')).toContain('shop');
    expect(await ok('operator', 'pin', 'shop')).toContain('pinned');
    expect(await ok('operator', 'repo', 'check', 'main')).toMatch(/no errors|✓/);
    expect(await ok('viewer', 'runs', 'list')).toContain('succeeded');
    expect((await far('viewer', 'status')).stdout).toContain('shop');
    const runs = JSON.parse(await ok('viewer', '--json', 'runs', 'list')) as { runs: { id: string }[] };
    expect(await ok('viewer', 'runs', 'log', runs.runs[0].id)).not.toBe('');
  });

  it('fetches a snapshot into a file here, with a role that lists and downloads and nothing else', async () => {
    expect(await ok('restorer', 'restore', 'shop', '--to', './mine.db')).toContain('mine.db');
    const { DatabaseSync } = await import('node:sqlite');
    const db = new DatabaseSync(serving.path('mine.db'), { readOnly: true });
    expect(db.prepare('select x from t').get()).toEqual({ x: 'sold' });
    db.close();
    expect(await ok('restorer', 'cat', 'notes', `${serving.path('notes')}/a.txt`)).toBe('a note');
    await ok('restorer', 'download', 'notes', `${serving.path('notes')}/b.txt`, '--to', 'b.txt');
    expect(readFileSync(serving.path('b.txt'), 'utf8')).toBe('another');
    const again = await far('restorer', 'restore', 'shop', '--to', './mine.db');
    expect(again.status).toBe(1);
    expect(again.stderr).toContain('exists already');
    await ok('restorer', 'download', 'notes', serving.path('notes'), '--to', 'notes.tar');
    const refused = await far('restorer', 'restore', 'shop', '--in-place');
    expect(refused.status).toBe(1);
    expect(refused.stderr).toContain('role');
    expect((await far('viewer', 'download', 'shop')).status).toBe(1);
  });

  it('refuses a link whose maker may not read any more what it gives, says so, and writes it down', async () => {
    const post = { method: 'POST', body: JSON.stringify({ snapshot: 'shop' }), held: 'restorer' };
    const made = await serving.json<{ url: string }>('/api/downloads', post);
    const { db } = await serving.catalogue();
    const owner = db.selectFrom('download').select('actor').where('usedAtMs', 'is', null);
    const [{ actor }] = await owner.execute();
    const account = db.selectFrom('account').select('id').where('name', '=', actor.split('/')[0]);
    const { id } = await account.executeTakeFirstOrThrow();
    const roleOf = async (role: string) =>
      await db.updateTable('membership').set({ role }).where('userId', '=', id).execute();
    await roleOf('viewer');
    try {
      const answer = await serving.ask(new URL(made.url).pathname);
      expect([answer.status, answer.headers.get('content-type')]).toEqual([403, 'application/problem+json']);
      expect(await answer.json()).toMatchObject({ code: 'auth.forbidden', remedy: expect.stringContaining('new one') });
    } finally {
      await roleOf('restorer');
    }
    const tried = db.selectFrom('audit').select(['actor', 'outcome']).where('action', '=', 'download');
    expect(await tried.orderBy('id', 'desc').limit(1).execute()).toEqual([{ actor, outcome: 'refused' }]);
  });

  it('does nothing on this machine instead, and says what it does not do', async () => {
    for (const args of [['init'], ['repo', 'init', 'main'], ['repo', 'key', 'rewrap', 'main'], ['serve']]) {
      const { status, stderr } = await far('owner', ...args);
      expect(status, args.join(' ')).toBe(2);
      expect(stderr, args.join(' ')).toContain('without --server');
    }
    expect((await far('operator', 'drill', 'shop', '--place', '/tmp')).stderr).toContain('own machine only');
    expect(existsSync('/nowhere')).toBe(false);
  });

  it('says what is wrong with the token, and takes it from a file that nobody else reads', async () => {
    const { token } = await serving.person('viewer');
    serving.write('token', `${token}\n`);
    chmodSync(serving.path('token'), 0o644);
    const env = { HOLDFAST_SERVER: serving.url, HOLDFAST_TOKEN_FILE: serving.path('token') };
    expect((await serving.run(['snapshots'], env)).stderr).toContain('chmod 600');
    chmodSync(serving.path('token'), 0o600);
    expect((await serving.run(['snapshots'], env)).status).toBe(0);
    const none = await serving.run(['snapshots'], { HOLDFAST_SERVER: serving.url });
    expect(none.status).toBe(2);
    expect(none.stderr).toContain('HOLDFAST_TOKEN');
    const wrong = await serving.run(['snapshots'], { HOLDFAST_SERVER: serving.url, HOLDFAST_TOKEN: 'hf_wrong' });
    expect(wrong.stderr).toContain('nobody is signed in');
    const away = await serving.run(['--server', 'http://127.0.0.1:1', 'snapshots'], { HOLDFAST_TOKEN: token });
    expect(away.stderr).toContain('did not answer');
  });
});
