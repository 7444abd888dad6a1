import { describe, expect, test } from 'vitest';
import { copy, dayAt, everything, expectSound, names, snapshotsOf, twoSides } from '../../test/support/trial-copies.ts';
import {
  contentOf,
  impatientClock,
  makeSnapshot,
  noise,
  readSnapshot,
  reopened,
  type TrialFiles,
} from '../../test/support/trial-repository.ts';
import type { RunEvent } from '../model/run.ts';
import { forgetSnapshots, listPins, pinSnapshot, prune } from '../repository/index.ts';
import { countingStorage } from '../storage/counting.ts';
import { memoryStorage } from '../storage/memory.ts';
import { copySnapshots } from './copy.ts';

const small: TrialFiles = { 'a/one': [noise('one', 3000)], 'a/b/two': [noise('two', 5000)], three: [noise('3', 40)] };

describe('copying snapshots', () => {
  test('brings their whole content under another key, and names the originals as restic does', async () => {
    const { from, to } = await twoSides();
    const id = await makeSnapshot(from.repository, small, { time: dayAt(1) });
    const { copied, failed, sameCuts } = await copy(from, to);
    expect(failed).toEqual([]);
    expect(sameCuts).toBe(false);
    expect(copied.map(({ snapshot }) => snapshot.id)).toEqual([id]);
    const [[original], [stored]] = [await snapshotsOf(from), await snapshotsOf(to)];
    expect(stored).toEqual({ ...original, id: copied[0].id, original: id });
    expect(await readSnapshot(to.repository, stored.id)).toEqual(contentOf(small));
    await expectSound(to);
    expect(names(to, 'locks')).toEqual([]);
    expect(names(from, 'locks')).toEqual([]);
  });

  test('twice stores nothing new, there and back again neither', async () => {
    const { from, to } = await twoSides();
    for (const day of [1, 2])
      await makeSnapshot(from.repository, { ...small, day: [noise(`${day}`, 900)] }, { time: dayAt(day) });
    await copy(from, to);
    const before = { there: [...to.place.keys()], here: [...from.place.keys()] };
    expect((await copy(from, to)).copied).toEqual([]);
    expect((await copy(to, from)).copied).toEqual([]);
    expect([...to.place.keys()]).toEqual(before.there);
    expect([...from.place.keys()]).toEqual(before.here);
  });

  test('reads only what the other one lacks, and of the trees only what differs from the last copied snapshot', async () => {
    const { from, to } = await twoSides();
    const many = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`d${i}/x/file`, [noise(`f${i}`, 20_000)]]));
    await makeSnapshot(from.repository, many, { time: dayAt(1) });
    await copy(from, to);
    await makeSnapshot(from.repository, { ...many, 'd7/x/new': [noise('new', 30_000)] }, { time: dayAt(2) });
    const counted = countingStorage(memoryStorage(from.place));
    const { copied } = await copySnapshots({
      from: reopened(from.repository, counted),
      to: reopened(to.repository, memoryStorage(to.place)),
      choose: everything,
      threads: 1,
      clock: impatientClock,
      report: () => {},
    });
    // The new file and the trees on the way to it: root, d7, d7/x.
    expect(copied[0].blobs).toBe(4);
    const packs = counted.calls.filter(({ operation, name }) => operation === 'getInto' && name.startsWith('data/'));
    expect(packs.reduce((sum, one) => sum + one.bytes, 0)).toBeLessThan(80_000);
    await expectSound(to);
  });

  test('does not take a tree without its files for a copied one', async () => {
    const { from, to } = await twoSides();
    const id = await makeSnapshot(from.repository, small, { time: dayAt(1) });
    await copy(from, to);
    // All is pruned but the packs of trees: what a killed copy may leave.
    const [{ id: copied }] = await snapshotsOf(to);
    const packs = names(to, 'data').map((name) => [name, to.place.get(name)!] as const);
    await forgetSnapshots(reopened(to.repository, memoryStorage(to.place)), [copied]);
    await prune(reopened(to.repository, memoryStorage(to.place)), { maxUnused: 0 }, () => {});
    expect(names(to, 'data')).toEqual([]);
    for (const [name, body] of packs) {
      to.place.set(name, body);
      const { copied: again } = await copy(from, to);
      expect(await readSnapshot(reopened(to.repository, memoryStorage(to.place)), again[0].id!)).toEqual(
        contentOf(small),
      );
      await expectSound(to);
      await forgetSnapshots(reopened(to.repository, memoryStorage(to.place)), [again[0].id!]);
      await prune(reopened(to.repository, memoryStorage(to.place)), { maxUnused: 0 }, () => {});
    }
    expect((await snapshotsOf(from))[0].id).toBe(id);
  });

  test('a dry run says what would be copied and writes nothing', async () => {
    const { from, to } = await twoSides();
    await makeSnapshot(from.repository, small, { time: dayAt(1) });
    const before = [...to.place.keys()];
    const { copied } = await copy(from, to, { dryRun: true });
    expect(copied).toMatchObject([{ blobs: 6 }]);
    expect(copied[0].id).toBeUndefined();
    expect([...to.place.keys()]).toEqual(before);
  });

  test('a pinned snapshot is pinned over there', async () => {
    const { from, to } = await twoSides();
    const id = await makeSnapshot(from.repository, small, { time: dayAt(1) });
    await makeSnapshot(from.repository, small, { time: dayAt(2) });
    await pinSnapshot(from.repository, id);
    const { copied } = await copy(from, to);
    const pinned = copied.find(({ snapshot }) => snapshot.id === id)!;
    expect(await listPins(to.repository)).toEqual(new Set([pinned.id]));
  });

  const faults = ['error-before', 'error-after'] as const;
  test.each(faults.flatMap((kind) => [/^snapshots\//, /pins\//].map((at) => ({ kind, names: at }))))(
    'a pin is not lost if the first copy fails by $kind at $names',
    async ({ kind, names: at }) => {
      const { from, to } = await twoSides();
      const id = await makeSnapshot(from.repository, small, { time: dayAt(1) });
      await pinSnapshot(from.repository, id);
      const rules = [{ fault: { kind }, operations: ['put'] as const, names: at, from: 1 }];
      await expect(copy(from, to, { rules })).rejects.toThrow();
      await copy(from, to);
      const [stored, ...others] = await snapshotsOf(to);
      expect(others).toEqual([]);
      expect(await listPins(to.repository)).toContain(stored.id);
    },
  );

  test('a damaged snapshot is left out and named, the others are copied', async () => {
    const { from, to } = await twoSides();
    await makeSnapshot(from.repository, small, { time: dayAt(1) });
    const whole = new Set(names(from, 'data'));
    const bad = await makeSnapshot(from.repository, { ...small, bad: [noise('bad', 8000)] }, { time: dayAt(2) });
    const good = await makeSnapshot(from.repository, { ...small, good: [noise('good', 700)] }, { time: dayAt(3) });
    const before = names(from, 'data').filter((name) => !whole.has(name));
    const largest = before.toSorted((a, b) => from.place.get(b)!.byteLength - from.place.get(a)!.byteLength)[0];
    from.place.set(
      largest,
      from.place.get(largest)!.map((byte, i) => (i === 4000 ? byte ^ 1 : byte)),
    );
    const warnings: RunEvent[] = [];
    const { copied, failed } = await copy(from, to, {
      report: (event) => void (event.type === 'warning' && warnings.push(event)),
    });
    expect(failed.map(({ snapshot }) => snapshot.id)).toEqual([bad]);
    expect(failed[0].error.message).toMatch(/blob [0-9a-f]{64}/);
    expect(copied.map(({ snapshot }) => snapshot.id)).toContain(good);
    expect(copied).toHaveLength(2);
    expect(warnings).toHaveLength(1);
    await expectSound(to);
  });
});
