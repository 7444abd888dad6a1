import { describe, expect, it } from 'vitest';
import { makeSnapshot, memoryRepository, noise } from '../../../test/support/trial-repository.ts';
import { silent } from '../../model/run.ts';
import { memoryStorage } from '../../storage/memory.ts';
import {
  forgetSnapshots,
  listSnapshots,
  listStates,
  pinSnapshot,
  prune,
  type Repository,
  readState,
  saveState,
  stateBeside,
} from '../index.ts';
import { BlobSaver } from '../saving/blob-saver.ts';
import { findSnapshot } from './snapshots.ts';

const inOrder = (a: string, b: string): number => (a < b ? -1 : 1);
let timeMs = Date.parse('2026-11-20T03:00:00Z');

async function save(repository: Repository, text: string, facts: { hostname?: string; path?: string } = {}) {
  return await saveState(repository, record(text, facts));
}

function record(text: string, facts: { hostname?: string; path?: string } = {}) {
  timeMs += 60_000;
  const files = new Map([
    ['holdfast.yaml', Buffer.from(text)],
    ['large', noise('large', 2_500_000)],
    ['empty', Buffer.alloc(0)],
  ]);
  return { hostname: 'here', path: '/etc/holdfast.yaml', files, timeMs, programVersion: 'holdfast', ...facts };
}

const small = (text: string) => ({ ...record(text), files: new Map([['holdfast.yaml', Buffer.from(text)]]) });

/** As many as stay, stored by one saver, which is cheaper than one after the other. Oldest first. */
async function allThatStay(repository: Repository) {
  await using saver = await BlobSaver.open(repository, { threads: 1 });
  const shows: Awaited<ReturnType<typeof stateBeside>>[] = [];
  for (let i = 0; i < 5; i++) {
    const one = small(`state ${i}`);
    shows.push(await stateBeside(one, { saver, snapshots: [], timeMs: one.timeMs }));
  }
  await saver.finish();
  for (const show of shows) await show();
  return await listStates(repository);
}

describe('state snapshots', () => {
  it('give back what was stored, byte for byte', async () => {
    const { repository } = await memoryRepository();
    await save(repository, 'first');
    const [stored] = await listStates(repository);
    const files = await readState(repository, stored);
    expect([...files.keys()]).toEqual(['empty', 'holdfast.yaml', 'large']);
    expect(String(files.get('holdfast.yaml'))).toBe('first');
    expect(Buffer.compare(files.get('large')!, noise('large', 2_500_000))).toBe(0);
    expect(files.get('empty')).toHaveLength(0);
  });

  it('add nothing at all while the state is the same', async () => {
    const { repository, place } = await memoryRepository();
    expect(await save(repository, 'first')).toMatchObject({ snapshot: expect.any(String) });
    const names = [...place.keys()].sort(inOrder);
    expect(await save(repository, 'first')).toEqual({ removed: [] });
    expect([...place.keys()].sort(inOrder)).toEqual(names);
  });

  it('stay when they are pinned', async () => {
    const { repository } = await memoryRepository();
    const { snapshot } = await save(repository, 'first');
    await pinSnapshot(repository, snapshot!);
    for (let i = 0; i < 7; i++) await save(repository, `state ${i}`);
    const states = await listStates(repository);
    expect(states).toHaveLength(6);
    expect(states[0].id).toBe(snapshot);
  });

  it('stay when they are pinned while a backup goes on that would remove them in the end', async () => {
    const { repository } = await memoryRepository();
    const snapshots = await allThatStay(repository);
    await using saver = await BlobSaver.open(repository, { threads: 1 });
    const show = await stateBeside(small('next'), { saver, snapshots, timeMs });
    await pinSnapshot(repository, snapshots[0].id);
    await saver.finish();
    expect(await show()).toEqual({ snapshot: expect.any(String), removed: [] });
    expect((await listStates(repository)).map((one) => one.id)).toContain(snapshots[0].id);
  });

  it('stay when they are pinned while the next one is stored', async () => {
    const { repository, place } = await memoryRepository();
    const [oldest] = await allThatStay(repository);
    const inner = memoryStorage(place);
    const pinning = repository.on({
      ...inner,
      put: async (name, parts, options) => {
        await inner.put(name, parts, options);
        if (name.startsWith('snapshots/')) await pinSnapshot(repository, oldest.id);
      },
    });
    expect(await saveState(pinning, small('next'))).toMatchObject({ removed: [] });
    expect((await listStates(repository)).map((one) => one.id)).toContain(oldest.id);
  });

  it('stay in a small number of each configuration, the newest always', async () => {
    const { repository } = await memoryRepository();
    await save(repository, 'another machine', { hostname: 'there' });
    await save(repository, 'another file', { path: '/home/holdfast.yaml' });
    for (let i = 0; i < 8; i++) await save(repository, `state ${i}`);
    const states = await listStates(repository);
    expect(states.map((one) => `${one.hostname} ${one.paths[0]}`).sort(inOrder)).toEqual([
      'here /etc/holdfast.yaml',
      'here /etc/holdfast.yaml',
      'here /etc/holdfast.yaml',
      'here /etc/holdfast.yaml',
      'here /etc/holdfast.yaml',
      'here /home/holdfast.yaml',
      'there /etc/holdfast.yaml',
    ]);
    expect(String((await readState(repository, states.at(-1)!)).get('holdfast.yaml'))).toBe('state 7');
    // Back to an older state: that is a change, too.
    expect(await save(repository, 'state 6')).toMatchObject({ snapshot: expect.any(String) });
  });

  it('are never what a person means by latest', async () => {
    const { repository } = await memoryRepository();
    const id = await makeSnapshot(repository, { a: [noise('a', 10)] }, { time: '2026-11-20T03:00:00Z' });
    await save(repository, 'later');
    const snapshots = await listSnapshots(repository);
    expect(findSnapshot(snapshots, 'latest').id).toBe(id);
    // restic goes by the time alone.
    expect(snapshots.at(-1)!.id).toBe(id);
  });

  it('keep their order even where several fall between two snapshots', async () => {
    const { repository } = await memoryRepository();
    await makeSnapshot(repository, { a: [noise('a', 10)] }, { time: '2026-11-20T03:00:00Z' });
    for (const text of ['first', 'second', 'third']) await save(repository, text);
    const texts = (await listStates(repository)).map(async (one) =>
      String((await readState(repository, one)).get('holdfast.yaml')),
    );
    expect(await Promise.all(texts)).toEqual(['first', 'second', 'third']);
  });

  it('are whole even if somebody else pruned since this process read the index', async () => {
    const { repository, place } = await memoryRepository();
    await save(repository, 'first');
    const other = repository.on(memoryStorage(place));
    await forgetSnapshots(
      other,
      (await listSnapshots(other)).map((one) => one.id),
      {},
    );
    await prune(other, { maxUnused: 0 }, silent);
    await save(repository, 'second');
    const [stored] = await listStates(other);
    // «large» was stored with the first one, and is gone with it.
    const files = await readState(repository.on(memoryStorage(place)), stored);
    expect(Buffer.compare(files.get('large')!, noise('large', 2_500_000))).toBe(0);
  });
});
