import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { cancelled } from '../../base/errors.ts';
import { localHost } from '../../hosts/local/index.ts';
import { playground, sourceOf } from './fixture-run.ts';
import { makeSpoolRoom } from './spool-room.ts';

const hour = 3_600_000;

/** A room as another process left it: whose it is (nothing said if absent), and when that was last said. */
function leave(at: string, owner: object | undefined, ageMs: number): void {
  mkdirSync(`${at}/full`, { recursive: true });
  const time = new Date(Date.now() - ageMs);
  if (owner) {
    writeFileSync(`${at}/owner.json`, JSON.stringify(owner));
    utimesSync(`${at}/owner.json`, time, time);
  }
  utimesSync(at, time, time);
}

test('a room goes with its owner: those of processes that are no more are removed, all others stay', async () => {
  using place = playground();
  const source = sourceOf(localHost(), { path: '/x', spoolDirectory: place.directory });
  const mine = await makeSpoolRoom(source, 'x', 1);
  const me = JSON.parse(readFileSync(`${mine.directory}/owner.json`, 'utf8')) as { space: string; start: string };
  const left = (name: string, owner: object | undefined, ageMs: number): void =>
    leave(place.path(`holdfast-sqlite-room-${name}`), owner, ageMs);
  left('gone-dead', { ...me, pid: spawnSync('true').pid }, 0);
  // The first process of a container has the number of the first of the one before.
  left('gone-same-number', { ...me, start: '1' }, 0);
  left('gone-container', { ...me, space: 'another' }, 7 * hour);
  left('gone-nameless', undefined, 73 * hour);
  left('kept-live', me, 1000 * hour);
  left('kept-elsewhere', { ...me, space: 'another' }, 5 * hour);
  left('kept-nameless', undefined, 71 * hour);
  for (const name of ['holdfast-sqlite-test-abc', 'other']) leave(place.path(name), undefined, 1000 * hour);
  const next = await makeSpoolRoom(source, 'x', 1);
  await mine.remove();
  await next.remove();
  const kept = ['live', 'elsewhere', 'nameless'].map((name) => `holdfast-sqlite-room-kept-${name}`);
  expect(new Set(readdirSync(place.directory))).toEqual(new Set([...kept, 'holdfast-sqlite-test-abc', 'other']));
});

test('a room that is held for long is said to be in use until it is removed', async () => {
  using place = playground();
  const naps: number[] = [];
  let wake = (): void => {};
  const sleep = async (ms: number, { signal }: { signal?: AbortSignal } = {}): Promise<void> => {
    naps.push(ms);
    await new Promise<void>((resolve, reject) => {
      wake = resolve;
      signal?.addEventListener('abort', () => reject(cancelled()));
    });
  };
  const clock = { ...systemClock, sleep };
  const room = await makeSpoolRoom(
    { ...sourceOf(localHost(), { path: '/x', spoolDirectory: place.directory }), clock },
    'x',
    1,
  );
  const old = new Date(Date.now() - 7 * hour);
  utimesSync(`${room.directory}/owner.json`, old, old);
  wake();
  await expect.poll(() => naps).toEqual([600_000, 600_000]);
  expect(statSync(`${room.directory}/owner.json`).mtimeMs).toBeGreaterThan(Date.now() - hour);
  await room.remove();
  expect(readdirSync(place.directory)).toEqual([]);
});

test('a disk that fills up is told as such, other errors as they are, and the room is gone', async () => {
  using place = playground();
  const source = sourceOf(localHost(), { path: '/x', spoolDirectory: place.directory });
  const full = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
  const room = await makeSpoolRoom(source, 'the copy', 1);
  expect(await room.giveUp(full)).toMatchObject({
    code: 'storage.full',
    remedy: expect.stringContaining('spoolDirectory'),
  });
  expect(readdirSync(place.directory)).toEqual([]);
  const other = new Error('other');
  expect(await (await makeSpoolRoom(source, 'the copy', 1)).giveUp(other)).toBe(other);
  await expect(makeSpoolRoom(source, 'the copy', Number.MAX_SAFE_INTEGER)).rejects.toMatchObject({
    code: 'storage.full',
  });
});
