/** Maintenance windows around real containers, through the program and through the engine's own. */
import { chmodSync, existsSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { localHost } from '../../src/hosts/local/index.ts';
import type { BackupOutput } from '../../src/operations/backup/backup.ts';
import { controlByProgram } from '../../src/runs/window/index.ts';
import { Trial } from '../e2e/trial.ts';
import { type Podman, startPodman } from '../servers/podman.ts';
import { endProcess } from '../support/end-process.ts';

class ContainerTrial extends Trial {
  socketPath = '';

  override get env(): NodeJS.ProcessEnv {
    return { ...super.env, DOCKER_HOST: `unix://${this.socketPath}`, HOLDFAST_STATE: this.path('state') };
  }

  configure(shell: string): void {
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
    window: { before: [{ stop: { compose: /srv/Shop/web }, timeout: 1s }, { stop: { container: idle } }] }
`,
    );
  }
}

let podman: Podman;
const trial = new ContainerTrial();
beforeAll(async () => {
  podman = await startPodman();
  trial.socketPath = podman.socketPath;
  const image = await podman.importBusyboxImage();
  const labels = ['--label', 'com.docker.compose.project=shop', '--label', 'com.docker.compose.service=web'];
  await podman.command('run', '--detach', '--name', 'web', ...labels, '--network', 'none', image, 'sleep', '100000');
  await podman.command('create', '--name', 'idle', '--network', 'none', image, 'sleep', '100000');
  trial.write('pw', 'window');
  trial.configure('echo x');
  await trial.ok('repo', 'init', 'main');
}, 120_000);
afterAll(async () => {
  trial.dispose();
  await podman?.[Symbol.asyncDispose]();
});

const running = async (name: string) => await podman.command('inspect', '--format', '{{.State.Running}}', name);

test('a container that runs is stopped and started around a backup, and started by the next command after a kill', async () => {
  const { results } = await trial.json<BackupOutput>('backup', 'shop');
  expect(results[0]).toMatchObject({ ok: true, window: { failures: [], downtimeMs: expect.any(Number) } });
  expect(results[0].notes[0]).toBe('the container idle was not running and stays stopped');
  expect([await running('web'), await running('idle')]).toEqual(['true', 'false']);
  trial.configure('echo $$ > pid; exec sleep 60');
  const pid = (): string => (existsSync(trial.path('pid')) ? readFileSync(trial.path('pid'), 'utf8') : '');
  await trial.run(['backup', 'shop'], async (child) => {
    await expect.poll(pid, { timeout: 120_000 }).not.toBe('');
    expect(await running('web')).toBe('false');
    child.kill('SIGKILL');
    endProcess(Number(pid()));
  });
  expect(await running('web')).toBe('false');
  expect((await trial.run(['snapshots'])).stderr).toContain('the compose service shop/web was started again');
  expect([await running('web'), await running('idle')]).toEqual(['true', 'false']);
});

test('on a machine without an API the engine’s own program does it', async () => {
  trial.write('bin/docker', `#!/bin/sh\nexec podman --remote --url unix://${podman.socketPath} "$@"\n`);
  chmodSync(trial.path('bin/docker'), 0o755);
  const host = localHost();
  const { PATH } = process.env;
  process.env.PATH = `${trial.path('bin')}:${PATH}`;
  try {
    const control = controlByProgram(host, { clock: systemClock });
    const image = await podman.command('inspect', '--format', '{{.Image}}', 'web');
    // Left by `docker compose run`.
    const labels = ['project=shop', 'service=web', 'oneoff=True'].map((one) => `--label=com.docker.compose.${one}`);
    await podman.command('create', '--name', 'task', ...labels, '--network', 'none', image, 'true');
    for (const name of ['web', 'shop/web']) {
      expect(await control.isRunning(name)).toBe(true);
      await control.stop(name, 100);
      expect(await control.isRunning(name)).toBe(false);
      await control.stop(name, 100);
      await control.start(name);
      await control.start(name);
      expect(await running('web')).toBe('true');
    }
    const once = ['--rm', '--detach', '--volume', '/data', '--name', 'once', '--network', 'none'];
    await podman.command('run', ...once, image, 'sleep', '1000');
    await expect(control.stop('once', 100)).rejects.toThrow('--rm');
    expect(await running('once')).toBe('true');
    await podman.command('rm', '--force', '--time', '0', 'once', 'task');
    for (const name of ['nobody', 'shop/nobody']) await expect(control.isRunning(name)).rejects.toThrow(name);
  } finally {
    process.env.PATH = PATH;
  }
});
