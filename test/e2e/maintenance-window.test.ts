/** Services around a backup, as a person runs it: systemctl is a script that keeps what runs in files. */
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { BackupOutput } from '../../src/operations/backup/backup.ts';
import type { StatusOutput } from '../../src/operations/status/status.ts';
import { initCheaply } from '../support/cheap-repository.ts';
import { endProcess } from '../support/end-process.ts';
import { Trial } from './trial.ts';

const systemctl = `#!/bin/sh
units=$(dirname "$0")/../units
for unit; do :; done
case $1 in
  show)
    if [ -e "$units/$unit" ]; then echo LoadState=loaded; else echo LoadState=not-found; fi
    echo "ActiveState=$(cat "$units/$unit" 2>/dev/null || echo inactive)" ;;
  stop) echo inactive > "$units/$unit" ;;
  start)
    if [ -e "$units/$unit.broken" ]; then echo "Job for $unit failed" >&2; exit 1; fi
    echo active > "$units/$unit" ;;
esac
`;

class ServiceTrial extends Trial {
  constructor() {
    super();
    this.write('bin/systemctl', systemctl);
    chmodSync(this.path('bin/systemctl'), 0o755);
    this.write('units/app', 'active\n');
    this.write('units/idle', 'inactive\n');
    this.write('pw', 'window');
  }

  override get env(): NodeJS.ProcessEnv {
    const { PATH, ...rest } = super.env;
    return { ...rest, PATH: `${this.path('bin')}:${PATH}`, HOLDFAST_STATE: this.path('state') };
  }

  /** One source whose command is `shell`, and its window. */
  configure(shell: string, window: string): void {
    this.write(
      'holdfast.yaml',
      `
repositories: { main: { url: repo, password: { file: pw } } }
sources:
  shop:
    driver: command
    shell: ${JSON.stringify(shell)}
    cwd: ${JSON.stringify(this.folder)}
    repository: main
    window: ${window}
`,
    );
  }

  unit(name: string): string {
    return readFileSync(this.path('units', name), 'utf8').trim();
  }

  get records(): string[] {
    return existsSync(this.path('state/windows')) ? readdirSync(this.path('state/windows')) : [];
  }
}

const stops =
  '{ before: [{ stop: { service: app } }, { stop: { service: idle } }], after: [{ run: [touch, FOLDER/after] }] }';

describe('a maintenance window', () => {
  let trial: ServiceTrial;
  const window = (text = stops): string => text.replaceAll('FOLDER', trial.folder);
  beforeEach(() => {
    trial = new ServiceTrial();
  });
  afterEach(() => trial.dispose());

  test('is open while the source is captured, and told of with its downtime', async () => {
    trial.configure('cat units/app', window());
    await initCheaply(trial.path('repo'), 'window');
    const { results } = await trial.json<BackupOutput>('backup', 'shop');
    expect(results[0]).toMatchObject({ ok: true, window: { failures: [] }, bytes: expect.any(Number) });
    expect(results[0].window?.downtimeMs).toBeGreaterThan(0);
    expect(results[0].notes).toContain('the service idle was not running and stays stopped');
    expect(await trial.ok('cat', 'shop@latest', '/command/output')).toBe('inactive\n');
    expect([trial.unit('app'), trial.unit('idle')]).toEqual(['active', 'inactive']);
    expect(existsSync(trial.path('after'))).toBe(true);
    expect(trial.records).toEqual([]);
    expect(results[0].notes.at(-1)).toMatch(/^app stood still for \d/);
  });

  test('closes when the capture fails or a step before it does, and nothing is stored', async () => {
    trial.configure('exit 4', window());
    await initCheaply(trial.path('repo'), 'window');
    expect((await trial.run(['backup', 'shop'])).status).toBe(1);
    expect(trial.unit('app')).toBe('active');
    trial.configure('touch captured; echo x', window().replace('service: idle', 'service: none'));
    const failed = await trial.run(['backup', 'shop']);
    expect([failed.status, failed.stdout]).toEqual([1, expect.stringContaining('none')]);
    expect(existsSync(trial.path('captured'))).toBe(false);
    expect(trial.unit('app')).toBe('active');
    expect((await trial.json<{ snapshots: unknown[] }>('snapshots')).snapshots).toEqual([]);
  });

  test('makes the run a failure when something does not start again, and keeps the snapshot', async () => {
    trial.configure('echo x', window());
    trial.write('units/app.broken', '');
    await initCheaply(trial.path('repo'), 'window');
    const { status, stdout, stderr } = await trial.run(['backup', 'shop']);
    expect(status).toBe(1);
    expect(stdout).toContain('FAILED: the service app IS STILL STOPPED');
    expect(stdout).toContain('the snapshot is complete and is kept');
    expect(stderr).toContain('warning: the service app IS STILL STOPPED');
    expect((await trial.json<{ snapshots: unknown[] }>('snapshots')).snapshots).toHaveLength(1);
    const report = await trial.json<StatusOutput>('status');
    expect(report.sources[0].concerns[0]).toMatchObject({ kind: 'services-stopped' });
    rmSync(trial.path('units/app.broken'));
    expect((await trial.run(['status'])).stderr).toContain('the service app was started again');
    expect(trial.unit('app')).toBe('active');
  });

  test('stores nothing when somebody else starts what has to stand still', async () => {
    trial.configure('echo active > units/idle; echo x', window());
    await initCheaply(trial.path('repo'), 'window');
    const { status, stdout, stderr } = await trial.run(['backup', 'shop']);
    const why = 'the service idle was started by somebody else while it had to stand still';
    expect([status, stdout.split(why).length, stderr]).toEqual([1, 2, expect.stringContaining(`warning: ${why}`)]);
    expect((await trial.json<{ snapshots: unknown[] }>('snapshots')).snapshots).toEqual([]);
    expect([trial.unit('app'), existsSync(trial.path('after')), trial.records]).toEqual(['active', true, []]);
  });

  test('closes in order when the run is told to stop', async () => {
    trial.configure('echo $$ > pid; exec sleep 60', window());
    await initCheaply(trial.path('repo'), 'window');
    const { status } = await trial.run(['backup', 'shop'], async (child) => {
      await expect.poll(() => existsSync(trial.path('pid')), { timeout: 120_000 }).toBe(true);
      expect(trial.unit('app')).toBe('inactive');
      child.kill('SIGTERM');
    });
    expect(status).toBe(130);
    expect(trial.unit('app')).toBe('active');
    expect(existsSync(trial.path('after'))).toBe(true);
    expect(trial.records).toEqual([]);
  });

  test('is closed by the next command when the backup was killed in it, and that is said', async () => {
    trial.configure('echo $$ > pid; exec sleep 60', window());
    await initCheaply(trial.path('repo'), 'window');
    await trial.run(['backup', 'shop'], async (child) => {
      await expect
        .poll(() => existsSync(trial.path('pid')) && readFileSync(trial.path('pid'), 'utf8') !== '', {
          timeout: 120_000,
        })
        .toBe(true);
      // While the backup lives, other commands leave its window alone.
      expect((await trial.run(['snapshots'])).stderr).not.toContain('started again');
      expect(trial.unit('app')).toBe('inactive');
      child.kill('SIGKILL');
      endProcess(Number(readFileSync(trial.path('pid'), 'utf8')));
    });
    expect(trial.unit('app')).toBe('inactive');
    expect(trial.records).toHaveLength(1);
    expect(existsSync(trial.path('after'))).toBe(false);
    const { stderr } = await trial.run(['snapshots']);
    expect(stderr).toContain('warning: the service app was started again: a backup of shop that began');
    expect([trial.unit('app'), trial.unit('idle')]).toEqual(['active', 'inactive']);
    expect(existsSync(trial.path('after'))).toBe(true);
    expect(trial.records).toEqual([]);
    expect((await trial.run(['snapshots'])).stderr).not.toContain('started again');
  });
});
