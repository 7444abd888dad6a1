/** What the catalogue knows of repositories, on SQLite and on PostgreSQL: the same tests for both. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  changeRepository,
  forgetRepository,
  knownContent,
  replaceRepository,
} from '../../src/catalogue/data/repository-content.ts';
import { knownRepositories, saveChecked, saveSeen, saveUnseen } from '../../src/catalogue/data/repository-states.ts';
import { growthByDay, newestSize, recordSize, removeOldSizes } from '../../src/catalogue/data/sizes.ts';
import {
  findKnownSnapshots,
  listKnownProofs,
  listKnownSnapshots,
  newestProofsOf,
} from '../../src/catalogue/data/snapshots.ts';
import { knownSources } from '../../src/catalogue/data/summary.ts';
import type { Catalogue } from '../../src/catalogue/open.ts';
import type { StoredProof } from '../../src/model/proof.ts';
import type { StoredSnapshot } from '../../src/model/snapshot.ts';
import { proofOf, snapshotOf } from '../support/catalogue-content.ts';
import { type CataloguePlace, cataloguePlaces } from '../support/catalogues.ts';

const none: ReadonlySet<string> = new Set();
const nothing = { added: [], removed: [] };

describe.each(cataloguePlaces)('in $title', ({ make }) => {
  let place: CataloguePlace;
  let catalogue: Catalogue;
  beforeAll(async () => {
    place = await make();
    catalogue = await place.open();
  });
  afterAll(async () => await place?.[Symbol.asyncDispose]());

  test('what changes in a repository is the same as what it lists afterwards', async () => {
    const sources = ['a', 'b', 'ü \0', 'only-proofs'];
    const snapshots: StoredSnapshot[] = [];
    const proofs: StoredProof[] = [];
    const [changed, replaced] = [await place.open(), await place.open()];
    for (let step = 0; step < 25; step++) {
      const source = sources[step % 3];
      const added = [snapshotOf(source, 1000 + ((step * 7919) % 5000))];
      const proven = step % 2 === 0 ? [proofOf(added[0], sources[step % 4], 10_000 - step * 10, step % 3 !== 0)] : [];
      const removed = step % 3 === 2 ? snapshots.splice((step * 31) % snapshots.length, 1) : [];
      const disproven = step % 5 === 4 ? proofs.splice((step * 17) % proofs.length, 1) : [];
      const pins = new Set([added[0].id, 'f'.repeat(64)]);
      snapshots.push(...added);
      proofs.push(...proven);
      await changeRepository(changed, 'nas', {
        snapshots: { added, removed: removed.map((one) => one.id) },
        proofs: { added: proven, removed: disproven.map((one) => one.id) },
        pins,
      });
      await replaceRepository(replaced, 'nas', { snapshots, proofs, pins });
      expect(await knownSources(changed)).toEqual(await knownSources(replaced));
      const [one, other] = await Promise.all(
        [changed, replaced].map((it) => listKnownSnapshots(it, {}, { limit: 100 })),
      );
      expect(one).toEqual(other);
      expect(one.snapshots.filter((it) => it.pinned).map((it) => it.snapshot.id)).toEqual([added[0].id]);
    }
    const known = await knownContent(changed, 'nas');
    expect(known.snapshots).toEqual(new Set(snapshots.map((it) => it.id)));
    expect(known.proofs).toEqual(new Set(proofs.map((it) => it.id)));
  });

  test('the newest snapshot and the newest proofs of every source and repository', async () => {
    const own = await place.open();
    const [old, young] = [snapshotOf('shop', 1000), snapshotOf('shop', 2000)];
    const foreign = { ...snapshotOf('x', 3000), tags: ['made by restic'] };
    const proofs = [proofOf(old, 'shop', 5000), proofOf(young, 'shop', 6000, false), proofOf(old, 'gone', 1)];
    await replaceRepository(own, 'nas', { snapshots: [young, foreign, old], proofs, pins: new Set([old.id]) });
    await replaceRepository(own, 'cloud', { snapshots: [old], proofs: [], pins: none });
    const newest = ({ id, time, timeMs }: StoredSnapshot) => ({ id, time, timeMs, bytes: timeMs + 1000 });
    const lastPassed = { snapshot: old.id, startedAtMs: 5000, restoreMs: 12 };
    const lastProof = (i: number) => {
      const { id, snapshot, startedAtMs, verdict } = proofs[i];
      return { id, snapshot, startedAtMs, verdict, restoreMs: 12 };
    };
    const shop = {
      repository: 'nas',
      source: 'shop',
      snapshots: 2,
      oldestMs: 1000,
      newest: newest(young),
      lastProof: lastProof(1),
      lastPassed,
    };
    expect(await knownSources(own)).toEqual([
      {
        repository: 'nas',
        source: 'gone',
        snapshots: 0,
        lastProof: lastProof(2),
        lastPassed: { ...lastPassed, startedAtMs: 1 },
      },
      { repository: 'cloud', source: 'shop', snapshots: 1, oldestMs: 1000, newest: newest(old) },
      shop,
    ]);
    expect(await knownSources(own, { repository: 'nas', source: 'shop' })).toEqual([shop]);
    await changeRepository(own, 'nas', {
      snapshots: { added: [], removed: [young.id, old.id] },
      proofs: nothing,
      pins: none,
    });
    expect(await knownSources(own, { repository: 'nas', source: 'shop' })).toMatchObject([
      { snapshots: 0, lastProof: lastProof(1) },
    ]);
    await forgetRepository(own, 'nas');
    expect((await knownSources(own)).map((one) => one.repository)).toEqual(['cloud']);
  });

  test('snapshots and proofs are listed in pages, and are what was put in', async () => {
    const own = await place.open();
    const strange = snapshotOf('a', 7, { paths: ['/\udc80\0'], hostname: 'h\0', username: '\ud800' });
    const snapshots = [
      ...Array.from({ length: 20 }, (_, i) => snapshotOf(`s${i % 2}`, 1000 + Math.floor(i / 4))),
      strange,
    ];
    await replaceRepository(own, 'nas', {
      snapshots,
      proofs: snapshots.map((one, i) => proofOf(one, `s${i % 2}`, i)),
      pins: none,
    });
    const pages = async (filter: Parameters<typeof listKnownSnapshots>[1], limit: number) => {
      const found: StoredSnapshot[] = [];
      let cursor: string | undefined;
      do {
        const page = await listKnownSnapshots(own, filter, { limit, cursor });
        found.push(...page.snapshots.map((one) => one.snapshot));
        cursor = page.next;
      } while (cursor !== undefined);
      return found;
    };
    const unique = [...new Map(snapshots.map((one) => [one.id, one])).values()];
    const expected = unique.toSorted((a, b) => b.timeMs - a.timeMs || (a.id < b.id ? 1 : -1));
    for (const limit of [1, 3, 11, 50]) expect(await pages({}, limit)).toEqual(expected);
    expect(await pages({ source: 's1', repository: 'nas', sinceMs: 1002, untilMs: 1004 }, 2)).toHaveLength(2);
    expect(await pages({ sources: ['a'] }, 2)).toEqual([strange]);
    expect(await pages({ repository: 'other' }, 2)).toEqual([]);
    const first = await listKnownProofs(own, { source: 's1' }, { limit: 4 });
    expect(first.proofs.map((one) => one.proof.startedAtMs)).toEqual([19, 17, 15, 13]);
    expect(
      (await listKnownProofs(own, { source: 's1' }, { limit: 4, cursor: first.next })).proofs[0].proof.startedAtMs,
    ).toBe(11);
    expect((await newestProofsOf(own, [strange.id])).get(strange.id)).toMatchObject({ startedAtMs: 20 });
    expect(await findKnownSnapshots(own, strange.id.slice(0, 8))).toEqual([
      { repository: 'nas', pinned: false, snapshot: strange },
    ]);
  });

  test('who reads while a repository is replaced sees all of it, before or after', async () => {
    const address = await place.address();
    const [writer, reader] = [await place.open(address), await place.open(address)];
    const of = (count: number, at: number) => Array.from({ length: count }, (_, i) => snapshotOf('big', at + i));
    await replaceRepository(writer, 'nas', { snapshots: of(10, 0), proofs: [], pins: none });
    let hasEnded = false;
    const counts = new Set<number>();
    const reading = async () => {
      while (!hasEnded) {
        const rows = await reader.db
          .selectFrom('snapshot')
          .select((eb) => eb.fn.countAll().as('count'))
          .execute();
        const [summary] = await knownSources(reader);
        counts.add(Number(rows[0].count)).add(summary.snapshots);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    };
    const writing = replaceRepository(writer, 'nas', { snapshots: of(5000, 100), proofs: [], pins: none });
    const end = writing.finally(() => {
      hasEnded = true;
    });
    await Promise.all([end, reading()]);
    expect([...counts].every((count) => count === 10 || count === 5000)).toBe(true);
    expect(await knownSources(reader)).toMatchObject([{ snapshots: 5000 }]);
  });

  test('growth is the last look of each day', async () => {
    const day = 86_400_000;
    for (const atMs of [1, day - 1, day, 3 * day + 5, 3 * day + 6]) {
      await recordSize(catalogue, {
        repository: 'nas',
        atMs,
        storedBytes: 5e12 + atMs,
        restoredBytes: 1,
        snapshots: 2,
      });
    }
    await recordSize(catalogue, { repository: 'other', atMs: 9 * day, storedBytes: 1, snapshots: 0 });
    const growth = await growthByDay(catalogue, { repository: 'nas', sinceMs: 0 });
    expect(growth.map((one) => one.atMs)).toEqual([day - 1, day, 3 * day + 6]);
    expect(growth[0]).toEqual({
      repository: 'nas',
      atMs: day - 1,
      storedBytes: 5e12 + day - 1,
      restoredBytes: 1,
      snapshots: 2,
    });
    expect(await newestSize(catalogue, 'other')).toEqual({
      repository: 'other',
      atMs: 9 * day,
      storedBytes: 1,
      snapshots: 0,
    });
    await removeOldSizes(catalogue, 2 * day);
    expect(await growthByDay(catalogue, { repository: 'nas', sinceMs: 0 })).toHaveLength(1);
  });

  test('how a repository was found: what was known stays when it cannot be asked', async () => {
    await saveUnseen(catalogue, { repository: 'nas', code: 'storage.unreachable', message: 'no answer\0' });
    await saveSeen(catalogue, { repository: 'nas', id: 'abc', atMs: 5 });
    await saveChecked(catalogue, { repository: 'nas', atMs: 6, ok: false });
    const known = { repository: 'nas', id: 'abc', seenAtMs: 5, lastCheck: { atMs: 6, ok: false } };
    expect(await knownRepositories(catalogue)).toEqual([known]);
    await saveUnseen(catalogue, { repository: 'nas', code: 'storage.denied', message: 'no' });
    expect(await knownRepositories(catalogue)).toEqual([
      { ...known, error: { code: 'storage.denied', message: 'no' } },
    ]);
  });
});
