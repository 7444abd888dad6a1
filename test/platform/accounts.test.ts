/** `holdfast user`, `token` and `audit` from outside, as somebody at the machine uses them, with either catalogue. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { principalOf, signInWithPassword } from '../../src/auth/index.ts';
import { systemClock } from '../../src/base/clock.ts';
import { Secret } from '../../src/base/secrets.ts';
import { openCatalogue } from '../../src/catalogue/open.ts';
import { type PostgresServer, startPostgres } from '../servers/postgres.ts';
import { from } from '../support/auth-trial.ts';

const program = fileURLToPath(new URL('../../bin/holdfast', import.meta.url));
const password = 'correct horse battery';

interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Arguments and environment of the process and of those it started, as others on the machine may see them. */
  readonly seen: string;
}

describe.each(['SQLite', 'PostgreSQL'])('the command line with a catalogue in %s', (kind) => {
  let folder: string;
  let server: PostgresServer | undefined;
  let token = '';
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'holdfast-accounts-'));
    server = kind === 'SQLite' ? undefined : await startPostgres({ password: 'of-the-database' });
    const catalogue = server
      ? `\n  catalogue: { postgres: "${server.url()}", password: { env: CATALOGUE_PASSWORD } }`
      : '';
    const people = 'workspaces: { shop: { title: Shop } }\nusers:\n  ci: { roles: { shop: operator } }\n';
    writeFileSync(join(folder, 'holdfast.yaml'), `server:\n  url: https://backup.example${catalogue}\n${people}`);
  });
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  const holdfast = async (argv: readonly string[], input?: string): Promise<Outcome> => {
    const env = { ...process.env, HOLDFAST_STATE: join(folder, 'state'), CATALOGUE_PASSWORD: 'of-the-database' };
    const child = spawn(program, [...argv], { cwd: folder, env, stdio: ['pipe', 'pipe', 'pipe'] });
    let [stdout, stderr, seen] = ['', '', ''];
    child.stdout.on('data', (part) => {
      stdout += part;
    });
    child.stderr.on('data', (part) => {
      stderr += part;
    });
    // The password is given last: what is to be seen of the process while it has it is looked at in between.
    const looking = setInterval(() => {
      seen += commandLines(child.pid!);
    }, 20);
    child.stdin.on('error', () => undefined).end(input);
    const status = await new Promise<number | null>((resolve) => child.on('close', resolve));
    clearInterval(looking);
    return { status, stdout, stderr, seen };
  };
  const json = async (...argv: string[]) => {
    const { stdout, stderr, status } = await holdfast([...argv, '--json']);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    return JSON.parse(stdout);
  };
  const open = async () =>
    await openCatalogue(
      server
        ? { kind: 'postgres', url: server.url(), password: 'of-the-database' }
        : { kind: 'sqlite', path: join(folder, 'state/catalogue.db') },
      Date.now,
    );

  test('the first owner, a password that is piped in, and nothing to be seen of it', async () => {
    const added = await holdfast(['user', 'add', 'Olga', '--role', 'owner'], `${password}\n`);
    expect(added).toMatchObject({ status: 0, stdout: expect.stringMatching(/name +olga\n(.|\n)*roles +owner/) });
    expect(added.seen).toContain('user');
    expect(added.seen + added.stdout + added.stderr).not.toContain(password);
    await using catalogue = await open();
    const uses = { catalogue, clock: systemClock };
    expect(await signInWithPassword({ name: 'olga', password: new Secret(password) }, from(), uses)).toMatchObject({
      name: 'olga',
    });
    const { sessions } = await json('user', 'sessions', 'olga');
    expect(sessions).toMatchObject([{ method: 'password', address: '192.0.2.7' }]);
    const file = join(folder, 'secret');
    writeFileSync(file, 'another good phrase\n', { mode: 0o600 });
    const reset = await holdfast(['user', 'reset-password', 'olga', '--password-file', file]);
    expect(reset).toMatchObject({ status: 0, stdout: expect.stringContaining('signed in nowhere') });
    const old = signInWithPassword({ name: 'olga', password: new Secret(password) }, from(), uses);
    await expect(old).rejects.toMatchObject({ code: 'auth.refused' });
    await signInWithPassword({ name: 'olga', password: new Secret('another good phrase') }, from(), uses);
  });

  // What a catalogue is made of makes no difference to the rest.
  test.skipIf(kind === 'PostgreSQL')('roles, and what is refused', async () => {
    expect(
      await holdfast(['user', 'add', 'anna', '--role', 'viewer', '--role', 'shop:admin', '--no-password']),
    ).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('there is no workspace «shop»'),
    });
    await json(
      'user',
      'add',
      'anna',
      '--role',
      'viewer',
      '--role',
      'default:admin',
      '--no-password',
      '--email',
      'a@example.org',
    );
    expect(await json('user', 'set-role', 'anna', 'operator')).toMatchObject({
      roles: { '*': 'operator', default: 'admin' },
      email: 'a@example.org',
      hasPassword: false,
    });
    expect(await json('user', 'set-role', 'anna', 'none', '--workspace', 'default')).toMatchObject({
      roles: { '*': 'operator' },
    });
    const refusals = [
      [['user', 'add', 'x', '--role', 'god', '--no-password'], 'roles'],
      [['user', 'add', 'x', '--role', 'viewer', '--role', 'admin', '--no-password'], 'two roles everywhere'],
      [['user', 'remove', 'olga'], 'nobody who may do everything'],
      [['user', 'disable', 'olga'], 'nobody who may do everything'],
      [['user', 'show', 'nobody'], 'there is no user «nobody»'],
      [['user', 'add', 'weak'], 'fewer than 10'],
    ] as const;
    const outcomes = await Promise.all(refusals.map(([argv]) => holdfast(argv, 'short')));
    for (const [i, { status, stderr }] of outcomes.entries()) {
      expect(status).not.toBe(0);
      expect(stderr).toContain(refusals[i][1]);
    }
    expect((await json('user', 'list')).users.map((one: { name: string }) => one.name)).toEqual(['anna', 'olga']);
    expect((await holdfast(['user', 'list'])).stdout).toMatch(/anna +operator +nothing yet/);
    expect(await json('user', 'disable', 'anna')).toMatchObject({ disabled: true });
    await json('user', 'remove', 'anna');
  });

  test('a token is printed once, works, and is revoked; who is declared is there before a server started', async () => {
    const made = await holdfast([
      'token',
      'create',
      'pull',
      '--user',
      'ci',
      '--role',
      'operator',
      '--source',
      'db',
      '--expires',
      '30d',
    ]);
    expect(made).toMatchObject({ status: 0, stdout: expect.stringMatching(/^hf_[0-9A-Za-z]{43}\n$/) });
    expect(made.stderr).toContain('not shown again');
    token = made.stdout.trim();
    await using catalogue = await open();
    const uses = { catalogue, clock: systemClock };
    const principal = await principalOf({ bearer: new Secret(token) }, uses);
    expect(principal).toMatchObject({ name: 'ci/pull', sources: new Set(['db']) });
    expect(Object.fromEntries(principal.roles)).toEqual({ shop: 'operator' });
    const listed = await holdfast(['token', 'list']);
    expect(listed.stdout).toContain('pull');
    expect(listed.stdout).not.toContain(token.slice(0, 12));
    const [{ id }] = (await json('token', 'list', '--user', 'ci')).tokens;
    await json('token', 'revoke', id);
    await expect(principalOf({ bearer: new Secret(token) }, uses)).rejects.toMatchObject({ code: 'auth.required' });
    const nameless = await holdfast(['token', 'create', 'x']);
    expect(nameless).toMatchObject({ status: expect.any(Number), stderr: expect.stringContaining('--user NAME') });
    expect((await holdfast(['token', 'create', 'x', '--user', 'ci', '--role', 'admin'])).stderr).toContain('not admin');
    expect((await holdfast(['token', 'create', 'x', '--user', 'ci', '--expires', 'soon'])).status).toBe(2);
  });

  test.skipIf(kind === 'PostgreSQL')('a link, a second factor that was lost, and signing somebody out', async () => {
    const [linked, ...others] = await Promise.all([
      holdfast(['user', 'password-link', 'ci']),
      json('user', 'reset-totp', 'olga'),
      json('user', 'reset-passkeys', 'olga'),
      json('user', 'sign-out', 'olga'),
    ]);
    expect(linked.stdout).toMatch(
      /^[0-9A-Za-z]{43}\n.*curl --json @- https:\/\/backup\.example\/api\/sign-in\/password-link\n/,
    );
    expect(others).toMatchObject([{ hadOne: false }, { passkeys: 0 }, { name: 'olga' }]);
  });

  test.skipIf(kind === 'PostgreSQL')(
    'the audit log tells all of it, in pages, and neither it nor a file holds a secret',
    async () => {
      const { entries, next } = await json('audit', 'list', '--action', 'user', '--limit', '3');
      expect(entries).toHaveLength(3);
      const more = await json('audit', 'list', '--action', 'user', '--cursor', next);
      const actions = [...entries, ...more.entries].map((one: { action: string }) => one.action);
      for (const action of ['user.add', 'user.set-role', 'user.set-password', 'user.remove']) {
        expect(actions).toContain(action);
      }
      expect((await holdfast(['audit', 'list', '--subject', 'anna'])).stdout).toMatch(/user\.remove +anna/);
      expect((await holdfast(['audit', 'list', '--since', 'yesterday'])).status).toBe(2);
      const whole = JSON.stringify(await json('audit', 'list'));
      const files = server ? [] : readdirSync(join(folder, 'state'), { recursive: true, withFileTypes: true });
      const stored = files
        .filter((one) => one.isFile())
        .map((one) => readFileSync(join(one.parentPath, one.name), 'latin1'))
        .join('');
      const secrets = [password, 'another good phrase', token.slice(9)];
      const told = secrets.filter((one) => one.length < 10 || whole.includes(one) || stored.includes(one));
      expect(told).toEqual([]);
      if (!server) expect(statSync(join(folder, 'state/catalogue.db')).mode & 0o77).toBe(0);
    },
  );
});

/** Of a process and its children. */
function commandLines(pid: number): string {
  const read = (path: string): string => {
    try {
      return readFileSync(path, 'utf8');
    } catch {
      return '';
    }
  };
  const children = read(`/proc/${pid}/task/${pid}/children`).split(' ').filter(Boolean);
  return [pid, ...children].map((one) => read(`/proc/${one}/cmdline`) + read(`/proc/${one}/environ`)).join('\n');
}
