import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { z } from 'zod';
import { systemClock } from '../../base/clock.ts';
import { type Catalogue, openCatalogue } from '../../catalogue/open.ts';
import { emptyConfig } from '../../config/index.ts';
import type { AnyHostKind } from '../../hosts/host.ts';
import { localHost } from '../../hosts/local/index.ts';
import { knownWindows, MaintenanceWindow, recordsOfRun, windowsDirectory } from '../../runs/window/index.ts';
import { ownIdentity } from '../../runs/window/owner.ts';
import { closeLeftWindows } from '../runs/close-left-windows.ts';
import { HostPool } from './host-pool.ts';
import { Maintenance } from './maintenance.ts';

const step = { stop: { kind: 'unit', name: 'db' }, timeoutMs: 60_000 } as const;
const { PATH } = process.env;
let folder: string;
let catalogue: Catalogue;
let nowMs: number;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-left-'));
  nowMs = Date.parse('2026-11-21T03:00:00Z');
  catalogue = await openCatalogue({ kind: 'sqlite', path: ':memory:' }, () => nowMs);
  // systemd of this machine: `db` runs while there is a file of that name, and does not start while there is one `broken`.
  const script = `#!/bin/sh
    cd ${folder}
    case $1 in
      show) echo LoadState=loaded; [ -e db ] && echo ActiveState=active || echo ActiveState=inactive ;;
      stop) rm -f db ;;
      start) [ -e broken ] && { echo no room >&2; exit 1; }; touch db ;;
    esac`;
  mkdirSync(join(folder, 'bin'));
  writeFileSync(join(folder, 'bin', 'systemctl'), script, { mode: 0o755 });
  process.env.PATH = `${folder}/bin:${PATH}`;
});
afterEach(async () => {
  process.env.PATH = PATH;
  await catalogue[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

let onConnect = async (): Promise<void> => undefined;
/** A machine over the network, which is this one. */
const far = {
  name: 'ssh',
  settings: z.object({}),
  open: async () => {
    await onConnect();
    return localHost();
  },
} as unknown as AnyHostKind;

/** A container, which is `db` itself. */
const box = {
  name: 'docker',
  settings: z.object({}),
  open: async () => {
    if (!existsSync(join(folder, 'db'))) throw new Error('the container does not run');
    return localHost();
  },
} as unknown as AnyHostKind;

function usesOf(state: string) {
  const config = emptyConfig('/etc/holdfast.yaml');
  const hosts = new Map([
    ['far', { name: 'far', kind: 'ssh', settings: {}, references: [] }],
    ['box', { name: 'box', kind: 'docker', settings: {}, references: [] }],
  ]);
  const server = { ...config.server, catalogue: { kind: 'postgres', url: 'postgres://db/holdfast' } as const };
  const env = { HOLDFAST_STATE: join(folder, state), PATH: process.env.PATH };
  return {
    ...{ config: { ...config, hosts, server }, env, catalogue },
    ...{ drivers: [], storageKinds: [], channelKinds: [], hostKinds: [far, box] },
    ...{ localHost, openContainers: async () => undefined },
    ...{ clock: systemClock, signal: new AbortController().signal, report: () => undefined },
  };
}

async function windowOf(source: string, hosts: HostPool, host = 'local', state = 'state'): Promise<MaintenanceWindow> {
  const uses = usesOf(state);
  const directory = windowsDirectory(uses.env);
  return new MaintenanceWindow({
    ...(await new Maintenance({ ...uses, hosts }).reach(host)),
    ...{ clock: systemClock, report: () => undefined },
    plan: { before: [step], after: [], onFailure: 'abort' },
    about: { config: '/etc/holdfast.yaml', source, host, machine: host },
    records: recordsOfRun({ catalogue, directory, run: `run-${source}`, worker: 'w' }),
  });
}

async function backUp(source: string): Promise<void> {
  await using hosts = new HostPool(usesOf('state'));
  const window = await windowOf(source, hosts);
  await window.begin(new AbortController().signal);
  await window.end();
}

const look = async (): Promise<void> => await closeLeftWindows(usesOf('state'), { leads: true });
const told = async () =>
  (await catalogue.db.selectFrom('happening').select(['type', 'source']).orderBy('id').execute()).map(
    ({ type, source }) => `${type} ${source}`,
  );

it('who takes over what another source left, and cannot start it either, ends the alarm of both', async () => {
  writeFileSync(join(folder, 'db'), '');
  writeFileSync(join(folder, 'broken'), '');
  await backUp('shop');
  await look();
  for (const source of ['wiki', 'mail', 'wiki']) await backUp(source);
  await look();
  expect(await told()).toEqual(['service.stopped shop', 'service.stopped wiki']);
  // However many came after one another: it is tried, and told of, once.
  expect((await knownWindows(catalogue)).left).toHaveLength(1);
  rmSync(join(folder, 'broken'));
  nowMs += 3_600_000;
  await look();
  expect((await told()).slice(2).toSorted()).toEqual([
    'service.started mail',
    'service.started shop',
    'service.started wiki',
  ]);
  expect((await knownWindows(catalogue)).left).toEqual([]);
});

it('a window that opens elsewhere while a machine is connected to has to itself what it claims', async () => {
  writeFileSync(join(folder, 'db'), '');
  const about = { kind: 'backup', host: 'far', trigger: 'manual', askedBy: 'anna', input: '{}', state: 'running' };
  const numbers = { attempt: 1, notBeforeMs: 1, queuedAtMs: 1, fence: 0, cancelRequested: 0 };
  await catalogue.db
    .insertInto('run')
    .values({ id: 'run-wiki', ...about, ...numbers })
    .execute();
  const left = { format: 1, config: '/etc/holdfast.yaml', source: 'shop', host: 'far', machine: 'far', openedAtMs: 0 };
  const document = JSON.stringify({ ...left, stopped: [step], after: [], place: 'f'.repeat(32) });
  await catalogue.db
    .insertInto('openWindow')
    .values({ id: 'aa', runId: 'ended', worker: 'gone:1:x', document, openedAtMs: 0 })
    .execute();
  await using hosts = new HostPool(usesOf('elsewhere'));
  const window = await windowOf('wiki', hosts, 'far', 'elsewhere');
  onConnect = async () => {
    onConnect = async () => undefined;
    await window.begin(new AbortController().signal);
  };
  await look();
  expect(existsSync(join(folder, 'db'))).toBe(false);
  expect(await window.end()).toBeUndefined();
  await look();
  expect([await told(), existsSync(join(folder, 'db'))]).toEqual([['service.started shop'], true]);
});

/** As a process that was killed leaves it, where nothing can be renamed or written any more. */
function leaveReadOnly(): void {
  const directory = windowsDirectory(usesOf('state').env);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const about = { format: 1, config: '/etc/holdfast.yaml', source: 'shop', host: 'local', openedAtMs: 0 };
  const text = JSON.stringify({ ...about, stopped: [step], after: [] });
  writeFileSync(join(directory, '0123456789abcdef.1-1-another-boot.json'), text, { mode: 0o600 });
  mkdirSync(join(directory, `0123456789abcdef.${ownIdentity()}.json`));
  mkdirSync(`${directory}.id`);
}

it('what stands in a record that cannot be touched is told of all the same, once, also if the catalogue did not know', async () => {
  leaveReadOnly();
  for (let i = 0; i < 5; i += 1) {
    await look();
    nowMs += 20_000;
  }
  expect(await told()).toEqual(['service.stopped shop']);
  const [left] = (await knownWindows(catalogue)).left;
  // At 0, 20 and 60 s: less and less often.
  expect([left.id, left.tries.failed]).toEqual(['0123456789abcdef', 3]);
});

it('a container that is a host itself is started again, and reached for its steps afterwards', async () => {
  const record = {
    ...{ format: 1, config: '/etc/holdfast.yaml', source: 'shop', host: 'box', openedAtMs: nowMs },
    ...{ stopped: [step], after: [{ run: ['touch', join(folder, 'awake')], timeoutMs: 60_000 }] },
  };
  const directory = windowsDirectory(usesOf('state').env);
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'fedcba9876543210.left.json'), JSON.stringify(record), { mode: 0o600 });
  await look();
  expect(await told()).toEqual(['service.started shop']);
  expect([existsSync(join(folder, 'db')), existsSync(join(folder, 'awake'))]).toEqual([true, true]);
});
