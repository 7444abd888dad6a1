import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { initCheaply } from '../../test/support/cheap-repository.ts';
import { systemClock } from '../base/clock.ts';
import { Secret } from '../base/secrets.ts';
import { describeOne } from '../cli/commands/drill.ts';
import { unattended } from '../drivers/conformance/context.ts';
import type { AnyDriver, RestoredCopy, SnapshotContents } from '../drivers/driver.ts';
import { localHost } from '../hosts/local/index.ts';
import type { StoredSnapshot } from '../model/snapshot.ts';
import { viewProof } from '../operations/snapshots/snapshot-view.ts';
import { listProofs, openRepository, saveProof } from '../repository/index.ts';
import { openStorage } from '../storage/open.ts';
import { storageKinds } from '../storage/registry.ts';
import { drill } from './drill.ts';

const folder = mkdtempSync(join(tmpdir(), 'holdfast-instance-'));
beforeAll(() => initCheaply(folder, 'pw'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const host = localHost();
const instance = 'PostgreSQL 17.2 from /usr/lib/postgresql/17/bin, with the collation C for shop';

async function proofOn(ran: Pick<RestoredCopy, 'instance'>) {
  const check = { subject: 'table a', measure: 'rows', expected: '1', found: '1', ok: true };
  const copy = {
    ...ran,
    bytes: 1,
    environment: {},
    compare: async () => [check],
    [Symbol.asyncDispose]: async () => {},
  };
  return await drill({
    driver: { name: 'postgres', restoreThrowaway: async () => copy } as unknown as AnyDriver,
    source: unattended({ name: 'shop', settings: {}, host, local: host }),
    snapshot: { id: 'ab'.repeat(32), time: '2026-11-20T03:00:00Z' } as StoredSnapshot,
    contents: { id: 'ab'.repeat(32), node: async () => undefined } as unknown as SnapshotContents,
    place: folder,
  });
}

test('a proof names what the copy ran in, and one that names nothing is read like before', async () => {
  const tools = {
    clock: systemClock,
    env: {},
    signal: new AbortController().signal,
    secret: async () => new Secret(''),
  };
  const storage = await openStorage(storageKinds, folder, { create: false, settings: {}, tools });
  const repository = await openRepository({ storage, password: new Secret('pw'), clock: systemClock });
  try {
    await saveProof(repository, await proofOn({ instance }));
    await saveProof(repository, await proofOn({}));
    const proofs = (await listProofs(repository)).map(viewProof);
    expect(proofs.map((one) => one.instance)).toEqual([instance, undefined]);
    const told = proofs.map((proof) => describeOne({ target: 'shop', ok: true, proof: { ...proof, checks: [] } }));
    expect(told[0]).toContain(`restored 1 B on ${instance} in`);
    expect(told[1]).toContain('restored 1 B in');
  } finally {
    await repository.close();
  }
});
