/** From nothing to proven backups and back, with the program itself. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, statSync, watch } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { program, Trial } from './trial.ts';

const trial = new Trial();
afterAll(() => trial.dispose());

interface Listed {
  readonly snapshots: readonly {
    readonly id: string;
    readonly source: string;
    readonly pinned: boolean;
    readonly proof?: { readonly verdict: string };
  }[];
}

async function snapshotsOf(source: string): Promise<Listed['snapshots']> {
  return (await trial.json<Listed>('snapshots', source)).snapshots;
}

beforeAll(() => {
  trial.write('srv/app/compose.yaml', 'services: {}\n');
  trial.sqlite(
    'srv/app/app.db',
    'PRAGMA journal_mode = WAL; CREATE TABLE t (a, b); INSERT INTO t VALUES (1, 2), (3, 4)',
  );
  trial.write('etc/app.conf', 'first\n');
  trial.write('etc/evil\u001b[31mname', 'x');
});

describe('the command line', () => {
  it('says how it is used, and ends with 2 when it is not', async () => {
    expect((await trial.run(['--help'])).stdout).toContain('snapshots');
    expect(await trial.ok('--version')).toMatch(/^\d+\.\d+\.\d+\n$/);
    for (const args of [
      ['bogus'],
      ['backup', '--bogus'],
      ['backup', '--all'],
      ['restore'],
      ['--config', 'none.yaml', 'status'],
    ]) {
      const { status, stdout, stderr } = await trial.run(args);
      expect([args, status, stdout]).toEqual([args, 2, '']);
      expect(stderr).toMatch(/^holdfast: .+\n {2}.+/);
    }
    const { stdout } = await trial.run(['--json', 'backup', '--bogus']);
    expect(JSON.parse(stdout)).toMatchObject({ type: 'error', code: 'usage.invalid', remedy: expect.any(String) });
  });

  it('writes a first configuration with what it finds, and never over another one', async () => {
    const text = await trial.ok('init', '--root', trial.path('srv'), '--repository', './repository');
    expect(text).toContain('app.db');
    expect(statSync(trial.path('home/.config/holdfast/password')).mode & 0o777).toBe(0o600);
    const again = await trial.run(['init']);
    expect([again.status, again.stderr]).toEqual([2, expect.stringContaining('exists already')]);
    const yaml = readFileSync(trial.path('holdfast.yaml'), 'utf8');
    trial.write('holdfast.yaml', yaml.replace(/- (\/etc|~\/\.config)\n/, '- etc\n'));
    expect(await trial.ok('validate', '--secrets')).toContain('2 sources');
  });

  it('reports every error of a configuration in JSON, too', async () => {
    const yaml = readFileSync(trial.path('holdfast.yaml'), 'utf8');
    trial.write(
      'bad.yaml',
      yaml.replace('driver: sqlite', 'driver: sqlit').replace('schedule: "0 2', 'schedule: "99 2'),
    );
    const { status } = await trial.run(['--config', 'bad.yaml', 'validate']);
    expect(status).toBe(2);
    const error = await trial.json<{ problems: { path: string }[] }>('--config', 'bad.yaml', 'status');
    expect(error.problems.map((problem) => problem.path)).toEqual(['policies.nightly.schedule', 'sources.app.driver']);
  });

  it('says that nothing is safe before there is a backup, and that all is after a drill', async () => {
    expect((await trial.run(['status'])).status).toBe(1);
    await trial.ok('repo', 'init', 'nas');
    const before = await trial.run(['status']);
    expect([before.status, before.stdout]).toEqual([1, expect.stringContaining('never backed up')]);
    const result = await trial.json<{ type: string; ok: boolean; results: unknown[] }>('backup', '--all');
    expect(result).toMatchObject({ type: 'result', ok: true });
    expect((await trial.run(['status'])).stdout).toContain('never proven');
    expect(await trial.ok('drill', '--all')).toMatch(/✓ PROVEN app .*\n✓ PROVEN configs/);
    expect(await trial.ok('status')).toContain('everything declared can be restored');
    expect(await trial.ok('proofs', 'app')).toContain('passed');
  });

  it('makes what restic can check and restore alone', () => {
    const env = { ...trial.env, RESTIC_PASSWORD_FILE: trial.path('home/.config/holdfast/password') };
    const restic = (...args: string[]) =>
      execFileSync('restic', ['--no-cache', '-r', trial.path('repository'), ...args], {
        env,
        encoding: 'utf8',
        stdio: 'pipe',
      });
    expect(restic('check', '--read-data')).toContain('no errors were found');
    restic('restore', 'latest', '--tag', 'source:app', '--target', trial.path('by-restic'));
    expect(trial.sqlite(`by-restic${trial.path('srv/app/app.db')}`, 'SELECT sum(a), sum(b) FROM t')).toBe('4|6');
  });

  it('shows what is in snapshots and what differs, without letting names play with the terminal', async () => {
    trial.write('etc/new.conf', 'second\n');
    await trial.ok('backup', 'configs');
    const [first, second] = await snapshotsOf('configs');
    const difference = await trial.run(['diff', first.id.slice(0, 12), second.id.slice(0, 12)]);
    expect(difference.stdout).toBe(`+ ${trial.path('etc/new.conf')}\n`);
    const list = await trial.ok('ls', 'configs');
    expect(list).toContain('evil\\u{1b}[31mname');
    expect(list).not.toContain('\u001b');
    const document = await trial.json<{ entries: { path: string }[]; count: number }>('ls', 'configs');
    expect(document.entries).toHaveLength(document.count);
    expect(document.entries.map((one) => one.path)).toContain(trial.path('etc/evil\u001b[31mname'));
    expect(await trial.ok('find', 'new.*')).toContain(`in ${second.id.slice(0, 8)}`);
    expect(await trial.ok('cat', 'configs@latest', trial.path('etc/app.conf'))).toBe('first\n');
  });

  it('restores, and never over what is there unless told so', async () => {
    expect(await trial.ok('restore', 'app', '--to', 'back.db', '--dry-run')).toContain('would restore');
    expect(existsSync(trial.path('back.db'))).toBe(false);
    await trial.ok('restore', 'app', '--to', 'back.db');
    expect(trial.sqlite('back.db', 'SELECT count(*) FROM t')).toBe('2');
    expect((await trial.run(['restore', 'app', '--to', 'back.db'])).status).toBe(1);
    await trial.ok('restore', 'app', '--to', 'back.db', '--overwrite');
    await trial.ok('restore', 'configs', '--to', 'part', '--include', '*.conf', '--exclude', 'new.*');
    expect(execFileSync('find', [trial.path('part'), '-type', 'f'], { encoding: 'utf8' })).toBe(
      `${trial.path(`part${trial.path('etc/app.conf')}`)}\n`,
    );
    await trial.ok('download', 'app', '--to', 'down.db');
    expect(trial.sqlite('down.db', 'PRAGMA integrity_check')).toBe('ok');
  });

  it('forgets by rule and by name, but never what is pinned, newest good or newest proven', async () => {
    for (const content of ['third\n', 'fourth\n']) {
      trial.write('etc/new.conf', content);
      await trial.ok('backup', 'configs');
    }
    const [proven, second, third, newest] = await snapshotsOf('configs');
    await trial.ok('pin', second.id);
    expect(await trial.ok('forget', 'configs', '--keep-last', '1', '--dry-run')).toContain(
      '3 kept, 1 would be removed',
    );
    expect((await trial.run(['forget', newest.id])).stderr).toContain('newest good');
    expect((await trial.run(['forget', second.id])).stderr).toContain('unpin');
    expect((await trial.run(['forget', third.id, 'ffffffff'])).status).toBe(1);
    expect(await snapshotsOf('configs')).toHaveLength(4);
    await trial.ok('forget', 'configs', '--keep-last', '1', '--prune');
    expect((await snapshotsOf('configs')).map((one) => one.id)).toEqual([proven.id, second.id, newest.id]);
    await trial.ok('unpin', second.id);
    await trial.ok('forget', second.id.slice(0, 10));
    expect(await trial.json('repo', 'check', 'nas', '--read-data')).toMatchObject({ type: 'result', ok: true });
  });

  it('changes passwords, and works on a repository by its address alone', async () => {
    trial.write('new-password', 'another one\n');
    await trial.ok('repo', 'passwd', 'nas', '--new-password-file', 'new-password');
    const { status, stdout } = await trial.run(['--json', 'snapshots']);
    expect([status, JSON.parse(stdout)]).toMatchObject([1, { type: 'error', code: 'repository.wrong-password' }]);
    const yaml = readFileSync(trial.path('holdfast.yaml'), 'utf8');
    trial.write('holdfast.yaml', yaml.replace(/password: \{.*\}/, 'password: another one'));
    const clear = await trial.run(['repo', 'key', 'list', 'nas']);
    expect([clear.status, clear.stderr]).toEqual([0, expect.stringContaining('is a secret in the clear')]);
    trial.write('elsewhere/password', 'another one');
    const env = { ...trial.env, HOLDFAST_PASSWORD: 'another one' };
    const address = trial.path('repository');
    const options = { cwd: trial.path('elsewhere'), env, encoding: 'utf8' as const };
    execFileSync(program, ['restore', 'app@latest', '--repository', address, '--to', 'app.db'], options);
    expect(trial.sqlite('elsewhere/app.db', 'SELECT count(*) FROM t')).toBe('2');
  });

  it('fails loudly for one source and still stores the others', async () => {
    const yaml = readFileSync(trial.path('holdfast.yaml'), 'utf8');
    trial.write('partly.yaml', `${yaml}\n  gone: { driver: sqlite, path: ./gone.db, policy: nightly }\n`);
    const { status, stdout } = await trial.run(['--json', '--config', 'partly.yaml', 'backup', 'gone', 'app']);
    const result = JSON.parse(stdout.trimEnd().split('\n').at(-1)!) as {
      results: { source: string; ok: boolean; error?: { code: string } }[];
    };
    expect(status).toBe(1);
    expect(result.results.map((one) => [one.source, one.ok, one.error?.code])).toEqual([
      ['app', true, undefined],
      ['gone', false, 'source.missing'],
    ]);
  });

  it('stops in order when it is interrupted, with 130', async () => {
    const yaml = readFileSync(trial.path('holdfast.yaml'), 'utf8');
    const command = `{ command: [sh, -c, "touch ${trial.path('waiting', 'here')}; sleep 600"] }`;
    trial.write('slow.yaml', yaml.replace('password: another one', `password: ${command}`));
    trial.write('waiting/place', '');
    const { status, stderr } = await trial.run(['--config', 'slow.yaml', 'backup', '--all'], (child) => {
      const watcher = watch(trial.path('waiting'), () => {
        watcher.close();
        child.kill('SIGINT');
      });
    });
    expect([status, stderr]).toEqual([130, expect.stringContaining('stopping in order')]);
  });

  it('completes for shells', async () => {
    const script = await trial.ok('completion', 'bash');
    const words = execFileSync(
      'bash',
      ['-c', `${script}\nCOMP_WORDS=(holdfast repo che); COMP_CWORD=2; _holdfast; echo "\${COMPREPLY[@]}"`],
      {
        encoding: 'utf8',
      },
    );
    expect(words).toBe('check\n');
    expect(await trial.ok('completion', 'zsh')).toContain('#compdef holdfast');
    expect(await trial.ok('completion', 'fish')).toContain("-n '__fish_seen_subcommand_from repo");
  });
});
