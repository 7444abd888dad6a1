import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { z } from 'zod';
import { systemClock } from '../../base/clock.ts';
import { type Catalogue, openCatalogue } from '../../catalogue/open.ts';
import { emptyConfig } from '../../config/index.ts';
import type { AnyHostKind } from '../../hosts/host.ts';
import { localHost } from '../../hosts/local/index.ts';
import {
  leftRecords,
  leftWindows,
  recordsOfRun,
  type WindowRecord,
  windowsDirectory,
} from '../../runs/window/index.ts';
import { closeLeftWindows } from './close-left-windows.ts';

let folder: string;
let catalogue: Catalogue;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-windows-'));
  catalogue = await openCatalogue({ kind: 'sqlite', path: ':memory:' }, () => Date.now());
});
afterEach(async () => {
  await catalogue[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

/** A machine over the network, which is this one. */
const far: AnyHostKind = {
  name: 'ssh',
  settings: z.object({}),
  open: async () => localHost(),
} as unknown as AnyHostKind;

function uses() {
  const config = emptyConfig('/etc/holdfast.yaml');
  const hosts = new Map([['db', { name: 'db', kind: 'ssh', settings: {}, references: [] }]]);
  const env = { HOLDFAST_STATE: join(folder, 'state'), PATH: process.env.PATH };
  return {
    ...{ config: { ...config, hosts }, env, catalogue },
    ...{ drivers: [], storageKinds: [], channelKinds: [], hostKinds: [far] },
    ...{ localHost, openContainers: async () => undefined },
    ...{ clock: systemClock, signal: new AbortController().signal, report: () => undefined },
  };
}

const record = (parts: Partial<WindowRecord>): WindowRecord => ({
  ...{ format: 1, config: '/etc/holdfast.yaml', source: 'shop', host: 'db', openedAtMs: 1, stopped: [], after: [] },
  ...parts,
});

async function leaveOpen(worker: string, parts: Partial<WindowRecord>): Promise<void> {
  const row = { id: 'aa', runId: 'ended', worker, document: JSON.stringify(record(parts)), openedAtMs: 1 };
  await catalogue.db.insertInto('openWindow').values(row).execute();
}

const events = async () => await catalogue.db.selectFrom('happening').select(['type', 'title']).execute();
const unit = { stop: { kind: 'unit', name: 'holdfast-no-such' }, timeoutMs: 5000 } as const;

it('writes into both places and removes from both', async () => {
  const directory = windowsDirectory(uses().env);
  const records = recordsOfRun({ catalogue, directory, run: 'r1', worker: 'w' });
  const open = await records.create(record({}));
  expect((await leftRecords(directory, { own: true })).map((one) => one.id)).toEqual([open.id]);
  expect((await leftWindows(catalogue)).map((one) => one.id)).toEqual([open.id]);
  await open.remove();
  expect(await leftRecords(directory, { own: true })).toEqual([]);
  expect(await leftWindows(catalogue)).toEqual([]);
});

it('ends a window on a machine that both reach, if it leads', async () => {
  const mark = join(folder, 'mark');
  await leaveOpen('elsewhere:1:x', { after: [{ run: ['touch', mark], timeoutMs: 5000 }] });
  await closeLeftWindows(uses(), { leads: false });
  expect(existsSync(mark)).toBe(false);
  await closeLeftWindows(uses(), { leads: true });
  expect(existsSync(mark)).toBe(true);
  expect(await leftWindows(catalogue)).toEqual([]);
});

it('tells once of services on the machine of a worker that is not back', async () => {
  await leaveOpen('elsewhere:1:x', { host: 'local', stopped: [unit] });
  await closeLeftWindows(uses(), { leads: true });
  await closeLeftWindows(uses(), { leads: true });
  const told = await events();
  expect(told).toHaveLength(1);
  expect(told[0].type).toBe('service.stopped');
  expect(told[0].title).toContain('the service holdfast-no-such IS STILL STOPPED');
  expect(await leftWindows(catalogue)).toHaveLength(1);
});

it('tries to start what its own machine has no other record of, and says so if it cannot', async () => {
  await leaveOpen(`${hostname()}:1:x`, { host: 'local', stopped: [unit] });
  await closeLeftWindows(uses(), { leads: false });
  expect((await events()).map((one) => one.type)).toEqual(['service.stopped']);
});
