import { expect, test } from 'vitest';
import { openCatalogue } from '../../catalogue/open.ts';
import { claimRun, finishRun, insertRun } from '../../catalogue/runs.ts';
import { inTransaction } from '../../catalogue/transaction.ts';
import type { Promised } from '../../policy/overdue.ts';
import { watchPromises } from './watch-promises.ts';

const day = 86_400_000;
const promised: Promised = {
  ...{ source: 'shop', backupEveryMs: 100 * day },
  proofs: [
    { repository: 'nas', limitMs: 14 * day },
    { repository: 'usb', limitMs: 60 * day },
  ],
};

async function world(promises: readonly Promised[]) {
  const time = { nowMs: 1000 * day };
  const catalogue = await openCatalogue({ kind: 'sqlite', path: ':memory:' }, () => time.nowMs);
  const succeeded = async (kind: 'backup' | 'drill', repository?: string): Promise<void> => {
    const about = { kind, source: 'shop', repository, host: 'local' } as const;
    const { id } = await insertRun(catalogue, { ...about, trigger: 'manual', askedBy: 'x' });
    const { fence } = (await claimRun(catalogue, { id, worker: 'w', leaseMs: 60_000 }))!;
    await finishRun(catalogue, { id, fence, outcome: { state: 'succeeded' }, events: [] });
  };
  const look = async (laterMs = 0): Promise<string[]> => {
    time.nowMs += laterMs;
    const changes = await inTransaction(catalogue, (transaction) => watchPromises(transaction, promises));
    return changes.map(({ type, repository }) => (repository === undefined ? type : `${type} ${repository}`));
  };
  const told = async () => await catalogue.db.selectFrom('happening').select(['type', 'repository']).execute();
  const dispose = async (): Promise<void> => await catalogue[Symbol.asyncDispose]();
  return { catalogue, succeeded, look, told, [Symbol.asyncDispose]: dispose };
}

test('each repository has its own promise of proofs: one that is proven hides no other, and one that may be away has longer', async () => {
  await using shop = await world([promised]);
  await shop.succeeded('backup');
  expect(await shop.look()).toEqual([]);
  await shop.succeeded('drill', 'usb');
  expect(await shop.look(14 * day)).toEqual([]);
  expect(await shop.look(day)).toEqual(['proof.stale nas']);
  expect(await shop.look(day)).toEqual([]);
  await shop.succeeded('drill', 'nas');
  expect(await shop.look()).toEqual(['source.recovered nas']);
  expect(await shop.told()).toEqual([
    { type: 'proof.stale', repository: 'nas' },
    { type: 'source.recovered', repository: 'nas' },
  ]);
  await shop.succeeded('backup');
  expect(await shop.look(45 * day)).toEqual(['proof.stale nas', 'proof.stale usb']);
});

test('a proof is waited for since the source was stored there, and a proof counts however long ago it was', async () => {
  const weekly = { source: 'shop', proofs: [{ repository: 'nas', limitMs: 14 * day }] };
  const promises: Promised[] = [weekly];
  await using shop = await world(promises);
  await shop.succeeded('backup');
  await shop.succeeded('drill');
  await shop.look();
  promises[0] = { ...weekly, proofs: [...weekly.proofs, { repository: 'far', limitMs: 2 * day }] };
  await shop.succeeded('drill', 'nas');
  expect(await shop.look(13 * day)).toEqual([]);
  expect(await shop.look(3 * day)).toEqual(['proof.stale nas', 'proof.stale far']);
  promises.length = 0;
  await shop.look();
  expect(await shop.catalogue.db.selectFrom('schedule').select('key').execute()).toEqual([]);
});
