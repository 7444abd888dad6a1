import { expect, test } from 'vitest';
import { type savedBy, savedFile } from '../../protocols/redis/fixture.ts';
import type { SnapshotContents } from '../driver.ts';
import { chooser, planRestore } from './restore-plan.ts';

function contentsOf(name: (typeof savedBy)[number]): SnapshotContents {
  const read = async function* () {
    yield savedFile(name);
  };
  return { read } as unknown as SnapshotContents;
}

const source = { signal: new AbortController().signal };

test.each(['redis-8.0.6', 'valkey-9.1.2'] as const)(
  'a hash of %s whose fields expire may go by itself',
  async (name) => {
    const isChosen = { include: ['/0/hash:expiring*'] };
    const plan = await planRestore(source, contentsOf(name), chooser(isChosen, 0));
    expect(plan.databases.get(0)).toEqual({ keys: 2, expiring: 0, fading: 2, expired: 0 });
    const others = await planRestore(source, contentsOf(name), chooser({ exclude: ['hash:expiring*'] }, 0));
    expect(others.databases.get(0)).toMatchObject({ fading: others.databases.get(0)?.expiring });
  },
);

test('a part of the keys needs a part of the memory', async () => {
  const whole = await planRestore(source, contentsOf('redis-8.0.6'), chooser({}, 0));
  const part = await planRestore(source, contentsOf('redis-8.0.6'), chooser({ include: ['string'] }, 0));
  expect(whole.usedMemoryBytes).toBeGreaterThan(0);
  expect(part.usedMemoryBytes).toBeGreaterThan(0);
  expect(part.usedMemoryBytes).toBeLessThan(whole.usedMemoryBytes / 100);
});
