/** Each program keeps out what its lock excludes; what a dead process left behind does not. */

import type { ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { watch, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Secret } from '../../src/base/secrets.ts';
import { lockRepository, openRepository } from '../../src/repository/index.ts';
import { localStorage } from '../../src/storage/local/index.ts';
import { openStorage } from '../../src/storage/open.ts';
import { BothPrograms, type Ended, type ResticProgram, resticPrograms } from '../support/both-programs.ts';
import { initCheaply } from '../support/cheap-repository.ts';

const both = new BothPrograms('source');
let stored = 0;
beforeAll(async () => {
  writeFileSync(both.path('source/file'), 'content');
  await initCheaply(both.repository, 'a password');
  both.holdfastBackup('source');
});
beforeEach(() => {
  stored = both.snapshots('restic-new').length;
  expect(both.locks()).toEqual([]);
});
afterAll(() => both[Symbol.dispose]());

/** A command stopped where it has just taken its lock. One that was through before it could be met is begun again. */
async function stoppedWithLock(program: ResticProgram | 'holdfast', ...args: string[]) {
  for (;;) {
    let child: ChildProcess | undefined;
    const watcher = watch(join(both.repository, 'locks'));
    const locked = new Promise<true>((resolve) => {
      watcher.on('change', async () => {
        // Files are written under another name first.
        if (!isLocked()) return;
        child?.kill('SIGSTOP');
        await setTimeout(50);
        if (isLocked()) resolve(true);
        else child?.kill('SIGCONT');
      });
    });
    const ended: Promise<Ended> = both.run(program, args, (started) => {
      child = started;
    });
    const met = await Promise.race([locked, ended.then(() => false)]);
    watcher.close();
    if (met) return { child: child!, ended };
    stored = both.snapshots('restic-new').length;
  }
}

function isLocked(): boolean {
  return both.locks().some((name) => /^[0-9a-f]{64}$/.test(name));
}

describe.each(resticPrograms)('%s', (program) => {
  // Slow enough to be met while it has the repository to itself.
  const exclusively = ['prune', '--max-unused', '0', '--limit-download', '1', '--no-cache'];

  test('keeps us out while it prunes, and we go on when it is done', async () => {
    const { child, ended } = await stoppedWithLock(program, ...exclusively);
    const refused = await both.run('holdfast', ['--json', 'backup', 'source', '--wait', '0s']);
    expect([refused.status, refused.stdout]).toEqual([1, expect.stringContaining('"repository.locked"')]);
    const waiting = both.run('holdfast', ['--json', 'backup', 'source', '--wait', '60s']);
    child.kill('SIGCONT');
    expect((await ended).status).toBe(0);
    expect(await waiting).toMatchObject({ status: 0 });
    expect(both.snapshots(program)).toHaveLength(stored + 1);
    expect(both.locks()).toEqual([]);
  });

  test('does not stop us when it was killed while it pruned', async () => {
    const { child, ended } = await stoppedWithLock(program, ...exclusively);
    child.kill('SIGKILL');
    await ended;
    expect(both.locks()).toHaveLength(1);
    both.holdfastBackup('source', '--wait', '0s');
    expect(both.locks()).toEqual([]);
    expect(both.restic(program, 'check')).toContain('no errors were found');
  });

  test('is kept out by our exclusive lock, and works beside our shared one', async () => {
    const storage = await openStorage([localStorage], both.repository, { create: false });
    await using repository = await openRepository({ storage, password: new Secret('a password') });
    {
      await using _lock = await lockRepository(repository, { exclusive: true });
      for (const args of [['backup', both.path('source')], ['prune']]) {
        const refused = await both.run(program, args);
        expect(refused.status).not.toBe(0);
        expect(refused.stderr).toContain('already locked');
        expect(refused.stderr).toContain(`PID ${process.pid} on`);
      }
    }
    await using _lock = await lockRepository(repository, { exclusive: false });
    expect(await both.run(program, ['backup', both.path('source')])).toMatchObject({ status: 0 });
    expect((await both.run(program, ['prune'])).stderr).toContain('already locked');
    both.restic(program, 'unlock');
    expect(both.locks()).toHaveLength(1);
  });

  test('asks a Holdfast that holds a lock whether it lives, which does not end it', async () => {
    const { child, ended } = await stoppedWithLock('holdfast', 'backup', 'source');
    both.restic(program, 'unlock');
    expect(both.locks()).toHaveLength(1);
    child.kill('SIGCONT');
    expect(await ended).toMatchObject({ status: 0 });
    expect(both.snapshots(program)).toHaveLength(stored + 1);
  });

  test('removes the lock of a Holdfast that was killed', async () => {
    const { child, ended } = await stoppedWithLock('holdfast', 'repo', 'prune', 'both');
    expect((await both.run(program, ['prune'])).stderr).toContain('already locked');
    child.kill('SIGKILL');
    await ended;
    both.restic(program, 'unlock');
    expect(both.locks()).toEqual([]);
    both.restic(program, 'prune');
  });
});

test('a lock that was stored in part only keeps nobody out', () => {
  writeFileSync(join(both.repository, 'locks', 'ab'.repeat(32)), 'half of a lo');
  both.holdfastBackup('source');
  expect(both.locks()).toEqual([]);
});

test('a lock nobody can read is removed when we are told to remove all', async () => {
  const other = 'whole, and sealed with the key of another repository';
  const path = join(both.repository, 'locks', createHash('sha256').update(other).digest('hex'));
  writeFileSync(path, other);
  const refused = await both.run('holdfast', ['--json', 'backup', 'source', '--wait', '0s']);
  expect([refused.status, refused.stdout]).toEqual([1, expect.stringMatching(/"repository.locked".*unlock.*--all/)]);
  both.holdfast('repo', 'unlock', 'both', '--all');
  expect(both.locks()).toEqual([]);
  both.holdfastBackup('source');
});
