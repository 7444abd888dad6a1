import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { localHost } from '../../hosts/local/index.ts';
import { playground, sourceOf } from './fixture-run.ts';
import { makeSpoolRoom } from './spool-room.ts';

test('a room goes with its owner: those of processes that are no more are removed, all others stay', async () => {
  using place = playground();
  const source = sourceOf(localHost(), { path: '/x', spoolDirectory: place.directory });
  const mine = await makeSpoolRoom(source, 'x', 1);
  const [name] = readdirSync(place.directory);
  const dead = spawnSync('true').pid;
  const orphan = name.replace(`-${process.pid}-`, `-${dead}-`);
  const elsewhere = orphan.replace(/sqlite-./, 'sqlite-x');
  for (const made of [orphan, elsewhere, 'holdfast-sqlite-test-abc', 'other'])
    mkdirSync(place.path(`${made}/full`), { recursive: true });
  const next = await makeSpoolRoom(source, 'x', 1);
  const found = readdirSync(place.directory);
  expect(found).not.toContain(orphan);
  expect(found).toHaveLength(5);
  await mine.remove();
  await next.remove();
  expect(new Set(readdirSync(place.directory))).toEqual(new Set([elsewhere, 'holdfast-sqlite-test-abc', 'other']));
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
