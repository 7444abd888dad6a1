/** rclone as the way to a repository: the program, restic, and what goes wrong with a process in between. */
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { emptyConfig } from '../../src/config/index.ts';
import { localHost } from '../../src/hosts/local/index.ts';
import { silent } from '../../src/model/run.ts';
import { storageCheck } from '../../src/operations/repositories/storage-check.ts';
import { body, expectBytes } from '../../src/storage/conformance/case.ts';
import { rcloneStorage } from '../../src/storage/rest/rclone/index.ts';
import type { RcloneSettings } from '../../src/storage/rest/rclone/settings.ts';
import { Trial } from '../e2e/trial.ts';
import { endProcess } from '../support/end-process.ts';
import { clearSecret, openForTest } from '../support/storages.ts';

const env = { PATH: process.env.PATH, RCLONE_CONFIG: '/dev/null' };

function place(): string {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-rclone-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

function open(remote: string, settings: Partial<RcloneSettings> = {}, create = false) {
  return openForTest(rcloneStorage, `rclone:${remote}`, { settings, create, env });
}

/** Processes whose arguments contain the text. */
function running(text: string): number[] {
  return readdirSync('/proc')
    .filter((id) => /^\d+$/.test(id) && commandOf(id).includes(text))
    .map(Number);
}

function commandOf(id: string): string {
  try {
    return readFileSync(`/proc/${id}/cmdline`, 'utf8');
  } catch {
    return ''; // ended meanwhile
  }
}

async function gone(text: string): Promise<void> {
  for (let tries = 0; running(text).length > 0; tries++) {
    if (tries > 500) throw new Error(`still running: ${running(text)}`);
    await sleep(10);
  }
}

const nameOf = (bytes: Uint8Array): string => `keys/${createHash('sha256').update(bytes).digest('hex')}`;

test('a repository is made, written and proven through a remote of a config file; restic opens it, and we what restic wrote', async () => {
  const trial = new Trial();
  onTestFinished(() => trial.dispose());
  for (let at = 0; at < 12; at++) trial.write(`docs/sub-${at % 3}/file-${at}`, body(40_000 * at + 1, at));
  trial.write('password', 'a password\n');
  const config = trial.path('rclone.conf');
  trial.write('rclone.conf', `[nas]\ntype = alias\nremote = ${trial.path('store')}\n`);
  trial.write(
    'holdfast.yaml',
    `repositories:\n  far: { url: "rclone:nas:shop/x", password: { file: password }, rclone: { config: ${config} } }\n` +
      `sources:\n  docs: { driver: files, paths: [${trial.path('docs')}], repository: far }\n`,
  );
  await trial.ok('repo', 'init', 'far');
  await trial.ok('backup', 'docs');
  expect(await trial.ok('drill', 'docs')).toContain('PROVEN');
  expect(await trial.ok('proofs', '--repository', 'far')).toContain('docs');
  const secrets = { RESTIC_PASSWORD: 'a password', RESTIC_CACHE_DIR: trial.path('cache'), RCLONE_CONFIG: config };
  const restic = (...args: string[]): string =>
    execFileSync('restic-new', ['-r', 'rclone:nas:shop/x', ...args], {
      encoding: 'utf8',
      env: { ...trial.env, ...secrets },
    });
  expect(restic('check', '--read-data')).toContain('no errors were found');
  restic('restore', 'latest', '--target', trial.path('by-restic'));
  execFileSync('diff', ['-r', trial.path('docs'), trial.path('by-restic', trial.path('docs'))]);
  restic('backup', '--host', 'other', trial.path('docs'));
  const [{ id }] = JSON.parse(restic('snapshots', '--json', '--host', 'other')) as { id: string }[];
  await trial.ok('restore', id, '--repository', 'far', '--to', trial.path('by-us'));
  execFileSync('diff', ['-r', trial.path('docs'), trial.path('by-us', trial.path('docs'))]);
  expect(readdirSync(trial.path('store/shop/x/locks'))).toEqual([]);
  await gone(trial.folder);
});

test('a program that is missing, a remote that is not known, and an option it does not have are said at once', async () => {
  const folder = place();
  const missing = await open(folder, { program: 'no-such-rclone' });
  await expect(missing.stat('config')).rejects.toMatchObject({
    code: 'host.command-missing',
    remedy: expect.stringContaining('rclone.program'),
  });
  const unknown = await open('no-such-remote:x');
  await expect(unknown.stat('config')).rejects.toMatchObject({
    code: 'storage.unreachable',
    retry: 'never',
    message: expect.stringContaining('no-such-remote'),
    remedy: expect.stringContaining('rclone listremotes'),
  });
  const option = await open(folder, { options: ['--no-such-option'] });
  await expect(option.stat('config')).rejects.toMatchObject({ remedy: expect.stringContaining('rclone.options') });
});

test('an rclone that dies is started again, in the middle of a put, too', async () => {
  const folder = place();
  const storage = await open(folder, {}, true);
  const bytes = body(9_000_000, 1);
  await storage.put(nameOf(bytes), [bytes]);
  for (const id of running(folder)) endProcess(id);
  expectBytes(await storage.get(nameOf(bytes)), bytes, 'the object');
  const other = body(20_000_000, 2);
  const putting = storage.put(nameOf(other), [other]);
  await sleep(5);
  for (const id of running(folder)) endProcess(id);
  await putting;
  expectBytes(await storage.get(nameOf(other)), other, 'the object');
  await storage.close();
  expect(running(folder)).toEqual([]);
});

test('it ends when the storage is closed, and when the program is killed', async () => {
  const folder = place();
  const storage = await open(folder, {}, true);
  expect(running(folder)).not.toEqual([]);
  await storage.close();
  expect(running(folder)).toEqual([]);
  await expect(storage.stat('config')).rejects.toMatchObject({ code: 'internal' });
  const script = `
    import { openAt } from '${new URL('../support/storages.ts', import.meta.url).pathname}';
    import { rcloneStorage } from '${new URL('../../src/storage/rest/rclone/index.ts', import.meta.url).pathname}';
    const env = { PATH: process.env.PATH, RCLONE_CONFIG: '/dev/null' };
    await openAt(rcloneStorage, 'rclone:${folder}/kill', { settings: {}, env, create: true });
    console.log('open');`;
  writeFileSync(join(folder, 'child.ts'), script);
  const child = spawn(process.execPath, [join(folder, 'child.ts')], { stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise((resolve) => child.stdout.once('data', resolve));
  expect(running(`${folder}/kill`)).toHaveLength(1);
  child.kill('SIGKILL');
  await gone(`${folder}/kill`);
});

test('one that hangs is told to end, and then killed', async () => {
  const folder = place();
  const program = join(folder, 'deaf');
  writeFileSync(program, `#!/bin/sh\ntrap '' TERM\nwhile :; do sleep 0.05; done\n`);
  chmodSync(program, 0o755);
  const storage = await openForTest(rcloneStorage, `rclone:${folder}`, {
    settings: { program, timeoutSeconds: 0.1 },
    env,
    clock: { nowMs: Date.now, monotonicMs: () => performance.now(), sleep: async () => {} },
  });
  await expect(storage.stat('config')).rejects.toMatchObject({ code: 'storage.unreachable', retry: 'later' });
  await storage.close();
  await gone(program);
});

test('a full disk is said to be full, in the words of its log', async () => {
  const folder = place();
  const program = join(folder, 'limited-rclone');
  // Files may not grow beyond half a megabyte, and that is said as a full disk says it.
  const script =
    "#!/bin/sh\ntrap '' XFSZ\nulimit -f 1000\nexec 3>&1\nrclone \"$@\" 2>&1 >&3 | sed -u 's/file too large/no space left on device/' >&2\n";
  writeFileSync(program, script, { mode: 0o755 });
  const storage = await openForTest(rcloneStorage, `rclone:${folder}/limited`, {
    settings: { program },
    env,
    create: true,
    clock: { ...systemClock, sleep: (ms) => systemClock.sleep(Math.min(ms, 20)) },
  });
  const bytes = body(3_000_000, 5);
  await expect(storage.put(nameOf(bytes), [bytes])).rejects.toMatchObject({ code: 'storage.full' });
});

test('a place that is not there is told from an empty one; a check makes none', async () => {
  const folder = place();
  const settings = { options: ['--cache-objects', '--transfers=2'] };
  const missing = await open(`${folder}/mnt/nas`, settings);
  await expect(missing.requirePlace?.()).rejects.toMatchObject({
    code: 'storage.not-found',
    message: `rclone:${folder}/mnt/nas does not exist`,
  });
  await (await open(folder, settings)).requirePlace?.();
  const checked = storageCheck.run(
    { url: `rclone:${folder}/mnt/nas` },
    {
      ...{ config: emptyConfig(join(folder, 'holdfast.yaml')), storageKinds: [rcloneStorage], env, report: silent },
      ...{ localHost: () => localHost(), clock: systemClock, signal: new AbortController().signal },
    },
  );
  await expect(checked).rejects.toMatchObject({ code: 'storage.not-found', remedy: expect.stringMatching(/mkdir -p/) });
  expect(readdirSync(folder)).toEqual([]);
  await gone(folder);
});

test('secrets reach it by its environment only', async () => {
  const folder = place();
  const secrets = { RCLONE_CONFIG_X_PASS: clearSecret('rclone-secret-1') };
  const storage = await open(
    folder,
    { secrets, configPassword: clearSecret('rclone-secret-2'), env: { RCLONE_X: 'y' } },
    true,
  );
  const [id] = running(folder);
  const given = readFileSync(`/proc/${id}/environ`, 'utf8');
  expect(given).toContain('RCLONE_CONFIG_X_PASS=rclone-secret-1');
  expect(given).toContain('RCLONE_X=y');
  expect(given).not.toContain('VITEST');
  for (const process of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    expect(commandOf(process)).not.toContain('rclone-secret');
  }
  await storage.close();
});
