import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { z } from 'zod';
import { systemClock } from '../../base/clock.ts';
import { type Catalogue, openCatalogue } from '../../catalogue/open.ts';
import { emptyConfig } from '../../config/index.ts';
import type { AnyHostKind } from '../../hosts/host.ts';
import { localHost } from '../../hosts/local/index.ts';
import type { RunEvent } from '../../model/run.ts';
import {
  keptPlaceOf,
  knownWindows,
  leftRecords,
  MaintenanceWindow,
  recordsOfRun,
  type WindowRecord,
  windowsDirectory,
} from '../../runs/window/index.ts';
import { HostPool } from '../sources/host-pool.ts';
import { repairLeftWindows } from '../sources/left-windows.ts';
import { Maintenance } from '../sources/maintenance.ts';
import { closeLeftWindows } from './close-left-windows.ts';

let folder: string;
let catalogue: Catalogue;
let nowMs: number;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-windows-'));
  nowMs = Date.parse('2026-11-21T03:00:00Z');
  catalogue = await openCatalogue({ kind: 'sqlite', path: ':memory:' }, () => nowMs);
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

/** With a catalogue that workers on several machines share. */
function usesOfMany() {
  const one = uses();
  const server = { ...one.config.server, catalogue: { kind: 'postgres', url: 'postgres://db/holdfast' } as const };
  return { ...one, config: { ...one.config, server } };
}

const record = (parts: Partial<WindowRecord>): WindowRecord => ({
  ...{ format: 1, config: '/etc/holdfast.yaml', source: 'shop', host: 'db', openedAtMs: 1, stopped: [], after: [] },
  ...parts,
});

const waiting = { clock: systemClock, signal: new AbortController().signal, onWait: () => undefined };

async function leaveOpen(worker: string, parts: Partial<WindowRecord>): Promise<void> {
  const row = { id: 'aa', runId: 'ended', worker, document: JSON.stringify(record(parts)), openedAtMs: 1 };
  await catalogue.db.insertInto('openWindow').values(row).execute();
}

const leftWindows = async () => (await knownWindows(catalogue)).left;
const events = async () => await catalogue.db.selectFrom('happening').select(['type', 'title']).execute();
const unit = { stop: { kind: 'unit', name: 'holdfast-no-such' }, timeoutMs: 60_000 } as const;

it('writes into both places and removes from both', async () => {
  const directory = windowsDirectory(uses().env);
  const records = recordsOfRun({ catalogue, directory, run: 'r1', worker: 'w' });
  const open = await records.create(record({}), waiting);
  expect((await leftRecords(directory, { all: true })).map((one) => one.id)).toEqual([open.id]);
  // It is being worked on: nothing was left.
  expect(await leftRecords(directory, { own: true })).toEqual([]);
  expect((await leftWindows()).map((one) => one.id)).toEqual([open.id]);
  await open.remove();
  expect(await leftRecords(directory, { all: true })).toEqual([]);
  expect(await leftWindows()).toEqual([]);
});

it('ends a window on a machine that both reach, if it leads', async () => {
  const mark = join(folder, 'mark');
  await leaveOpen('elsewhere:1:x', { after: [{ run: ['touch', mark], timeoutMs: 60_000 }] });
  await closeLeftWindows(usesOfMany(), { leads: false });
  expect(existsSync(mark)).toBe(false);
  await closeLeftWindows(usesOfMany(), { leads: true });
  expect(existsSync(mark)).toBe(true);
  expect(await leftWindows()).toEqual([]);
});

it('tells once of services on the machine of a worker that is not back', async () => {
  await leaveOpen('elsewhere:1:x', { host: 'local', stopped: [unit] });
  await closeLeftWindows(usesOfMany(), { leads: true });
  await closeLeftWindows(usesOfMany(), { leads: true });
  const told = await events();
  expect(told).toHaveLength(1);
  expect(told[0].type).toBe('service.stopped');
  expect(told[0].title).toContain('the service holdfast-no-such IS STILL STOPPED');
  expect(await leftWindows()).toHaveLength(1);
});

it('tries to start what its own machine has no other record of, and says so if it cannot', async () => {
  await leaveOpen(`${hostname()}:1:x`, { host: 'local', stopped: [unit] });
  await closeLeftWindows(uses(), { leads: false });
  expect((await events()).map((one) => one.type)).toEqual(['service.stopped']);
});

/** systemd of this machine, where a unit starts only once there is a file `repaired`. */
async function withSystemd(work: () => Promise<void>): Promise<void> {
  const { PATH } = process.env;
  mkdirSync(join(folder, 'bin'));
  const script = `#!/bin/sh
    case $1 in
      show) echo LoadState=loaded; [ -e ${folder}/stopped ] && echo ActiveState=inactive || echo ActiveState=active ;;
      stop) touch ${folder}/stopped ;;
      start) echo tried >> ${folder}/tries; [ -e ${folder}/repaired ] || { echo no room >&2; exit 1; }; rm -f ${folder}/stopped ;;
    esac`;
  writeFileSync(join(folder, 'bin', 'systemctl'), script, { mode: 0o755 });
  process.env.PATH = `${folder}/bin:${PATH}`;
  try {
    await work();
  } finally {
    process.env.PATH = PATH;
  }
}

const tries = (): number => readFileSync(join(folder, 'tries'), 'utf8').trim().split('\n').length;

/** A whole window of a run that this process performs. */
async function backUp(after: WindowRecord['after']): Promise<void> {
  await using hosts = new HostPool(uses());
  await using maintenance = new Maintenance({ ...uses(), hosts });
  const window = new MaintenanceWindow({
    ...(await maintenance.reach('local')),
    ...{ clock: systemClock, report: () => undefined },
    plan: { before: [unit], after, onFailure: 'abort' },
    about: { config: '/etc/holdfast.yaml', source: 'shop', host: 'local' },
    records: recordsOfRun({
      ...{ catalogue, directory: windowsDirectory(uses().env), run: 'r1', worker: `${hostname()}:1:x` },
    }),
  });
  await window.begin(new AbortController().signal);
  // Not while the backup goes on.
  await closeLeftWindows(uses(), { leads: true });
  expect(existsSync(join(folder, 'tries'))).toBe(false);
  await window.end();
  const isRepaired = existsSync(join(folder, 'repaired'));
  expect(window.outcome.failures.map((one) => one.includes('IS STILL STOPPED'))).toEqual(isRepaired ? [] : [true]);
}

it('what a process that lives could not start it tries again, less and less often, until it works, and tells of both', async () => {
  await withSystemd(async () => {
    await backUp([{ run: ['sh', '-c', `echo x >> ${folder}/after`], timeoutMs: 60_000 }]);
    for (let look = 0; look < 180; look += 1) {
      await closeLeftWindows(uses(), { leads: false });
      nowMs += 20_000;
    }
    // Once by the window, and within the hour: at 0, 20, 60 and 140 s, and every five minutes.
    expect(tries()).toBe(1 + 4 + 11);
    expect((await events()).map((one) => one.type)).toEqual(['service.stopped']);
    writeFileSync(join(folder, 'repaired'), '');
    for (let look = 0; look < 16; look += 1) {
      await closeLeftWindows(uses(), { leads: false });
      nowMs += 20_000;
    }
    expect(tries()).toBe(1 + 4 + 11 + 1);
  });
  const told = await events();
  expect(told.map((one) => one.type)).toEqual(['service.stopped', 'service.started']);
  expect(told[1].title).toBe('the service holdfast-no-such, which a backup of shop had left stopped, runs again');
  expect(await leftWindows()).toEqual([]);
  expect(readdirSync(windowsDirectory(uses().env))).toEqual([]);
  // What comes after a backup was done once, by the window itself.
  expect(readFileSync(join(folder, 'after'), 'utf8')).toBe('x\n');
});

it('steps afterwards that a process did not live to take, and that fail when they are made up for, are told', async () => {
  const id = '0123456789abcdef';
  const directory = windowsDirectory(uses().env);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const left = record({
    host: 'local',
    after: [{ run: ['sh', '-c', 'echo no such queue >&2; exit 3'], timeoutMs: 60_000 }],
  });
  writeFileSync(join(directory, `${id}.1-1-another-boot.json`), JSON.stringify(left), { mode: 0o600 });
  const row = { id, runId: 'ended', worker: `${hostname()}:1:x`, document: JSON.stringify(left), openedAtMs: 1 };
  await catalogue.db.insertInto('openWindow').values(row).execute();
  await closeLeftWindows(uses(), { leads: false });
  await closeLeftWindows(uses(), { leads: false });
  const told = await catalogue.db.selectFrom('happening').select(['type', 'message']).execute();
  expect(told).toHaveLength(1);
  expect(told[0]).toMatchObject({ type: 'run.warning', message: expect.stringContaining('no such queue') });
  expect(await leftWindows()).toEqual([]);
});

it('what stays stopped is told again after a day', async () => {
  await leaveOpen('elsewhere:1:x', { host: 'local', stopped: [unit] });
  await closeLeftWindows(usesOfMany(), { leads: true });
  nowMs += 23 * 3_600_000;
  await closeLeftWindows(usesOfMany(), { leads: true });
  expect(await events()).toHaveLength(1);
  nowMs += 3_600_000;
  await closeLeftWindows(usesOfMany(), { leads: true });
  expect(await events()).toHaveLength(2);
});

/** The record of a process that was killed, as it left it in the directory of this machine. */
function leaveRecord(left: WindowRecord, mode = 0o600): void {
  const directory = windowsDirectory(uses().env);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  writeFileSync(join(directory, '0123456789abcdef.1-1-another-boot.json'), JSON.stringify(left), { mode });
}

/** A window of a run that ended, opened by a worker of that name, whose record was made good already. */
async function leaveRow(worker: string, place: string | undefined): Promise<void> {
  const document = JSON.stringify({ ...record({ host: 'local', stopped: [unit] }), place });
  const row = { id: '0123456789abcdef', runId: 'ended', worker, document, openedAtMs: 1 };
  await catalogue.db.insertInto('openWindow').values(row).execute();
}

it('a container that was made anew knows its own windows, and raises no false alarm for ever', async () => {
  await withSystemd(async () => {
    writeFileSync(join(folder, 'repaired'), '');
    mkdirSync(windowsDirectory(uses().env), { recursive: true });
    await leaveRow('3f2a9c1d77aa:7:x', await keptPlaceOf(windowsDirectory(uses().env)));
    for (let day = 0; day < 4; day += 1) {
      await closeLeftWindows(usesOfMany(), { leads: true });
      nowMs += 24 * 3_600_000;
    }
  });
  expect((await events()).map((one) => one.type)).toEqual(['service.started']);
  expect(await leftWindows()).toEqual([]);
});

it('with a catalogue in a file every window is of this machine, also of a version that did not say where', async () => {
  await withSystemd(async () => {
    writeFileSync(join(folder, 'repaired'), '');
    await leaveRow('3f2a9c1d77aa:7:x', undefined);
    await closeLeftWindows(uses(), { leads: true });
  });
  expect((await events()).map((one) => one.type)).toEqual(['service.started']);
  expect(await leftWindows()).toEqual([]);
});

it('a machine of the same name with another state directory is another one', async () => {
  await leaveRow(`${hostname()}:7:x`, 'f'.repeat(32));
  await closeLeftWindows(usesOfMany(), { leads: true });
  const [told] = await catalogue.db.selectFrom('happening').select('message').execute();
  expect(told.message).toContain('which is not back yet');
});

it('what a killed command left, and could not be started, is told of and tried again by a process that lives', async () => {
  await withSystemd(async () => {
    leaveRecord(record({ host: 'local', stopped: [unit] }));
    for (let look = 0; look < 15; look += 1) {
      await closeLeftWindows(uses(), { leads: false });
      nowMs += 20_000;
    }
    expect((await events()).map((one) => one.type)).toEqual(['service.stopped']);
    // At 0, 20, 60 and 140 s.
    expect(tries()).toBe(4);
    writeFileSync(join(folder, 'repaired'), '');
    nowMs += 300_000;
    await closeLeftWindows(uses(), { leads: false });
  });
  expect((await events()).map((one) => one.type)).toEqual(['service.stopped', 'service.started']);
  expect(await leftWindows()).toEqual([]);
  expect(readdirSync(windowsDirectory(uses().env))).toEqual([]);
});

it('what a start of this process could not start it tries again, whatever the machine was called before', async () => {
  await withSystemd(async () => {
    leaveRecord(record({ host: 'local', stopped: [unit] }));
    await leaveRow('3f2a9c1d77aa:7:x', await keptPlaceOf(windowsDirectory(uses().env)));
    await repairLeftWindows(uses()); // as every command does first
    expect(tries()).toBe(1);
    writeFileSync(join(folder, 'repaired'), '');
    await closeLeftWindows(usesOfMany(), { leads: false });
    expect(tries()).toBe(2);
  });
  expect((await events()).map((one) => one.type)).toEqual(['service.started']);
  expect(readdirSync(windowsDirectory(uses().env))).toEqual([]);
});

it('a record that cannot be trusted is told of once, not at every look', async () => {
  leaveRecord(record({ host: 'local', stopped: [unit] }));
  chmodSync(join(windowsDirectory(uses().env), '0123456789abcdef.1-1-another-boot.json'), 0o666);
  const told: string[] = [];
  const report = (event: RunEvent): void => void told.push(event.type === 'warning' ? event.message : event.type);
  await closeLeftWindows({ ...uses(), report }, { leads: false });
  await closeLeftWindows({ ...uses(), report }, { leads: false });
  expect(told).toEqual([expect.stringContaining('cannot be read or trusted')]);
});

async function insertRun(id: string, state: string): Promise<void> {
  const about = { kind: 'backup', host: 'db', trigger: 'manual', askedBy: 'anna', input: '{}' };
  const numbers = { attempt: 1, notBeforeMs: 1, queuedAtMs: 1, fence: 0, cancelRequested: 0 };
  await catalogue.db
    .insertInto('run')
    .values({ id, state, ...about, ...numbers })
    .execute();
}

it('nothing is started from afar that an open window has, and all is once that has ended', async () => {
  const mark = join(folder, 'mark');
  await leaveOpen('elsewhere:1:x', { stopped: [unit], after: [{ run: ['touch', mark], timeoutMs: 60_000 }] });
  const claims = ['the service holdfast-no-such on db of /etc/holdfast.yaml'];
  const row = { runId: 'going', worker: 'there:1:x', document: JSON.stringify(record({ claims })), openedAtMs: 1 };
  await catalogue.db
    .insertInto('openWindow')
    .values({ ...row, id: 'bb' })
    .execute();
  await insertRun('going', 'running');
  await withSystemd(async () => {
    writeFileSync(join(folder, 'repaired'), '');
    await closeLeftWindows(usesOfMany(), { leads: true });
    expect([existsSync(join(folder, 'tries')), existsSync(mark)]).toEqual([false, false]);
    await catalogue.db.deleteFrom('openWindow').where('id', '=', 'bb').execute();
    await closeLeftWindows(usesOfMany(), { leads: true });
    expect([tries(), existsSync(mark)]).toEqual([1, true]);
  });
  expect(await leftWindows()).toEqual([]);
});

it('a run that takes over what an earlier one left stands for it from then on', async () => {
  await withSystemd(async () => {
    await backUp([]);
    await closeLeftWindows(uses(), { leads: true });
    rmSync(join(folder, 'tries'));
    await backUp([]);
    expect(await leftWindows()).toHaveLength(1);
    writeFileSync(join(folder, 'repaired'), '');
    nowMs += 300_000;
    await closeLeftWindows(uses(), { leads: true });
  });
  expect((await events()).map((one) => one.type)).toEqual(['service.stopped', 'service.started']);
  expect(await leftWindows()).toEqual([]);
});

it('a run that could start what an earlier one left ends its alarm', async () => {
  await withSystemd(async () => {
    await backUp([]);
    await closeLeftWindows(uses(), { leads: true });
    rmSync(join(folder, 'tries'));
    writeFileSync(join(folder, 'repaired'), '');
    await backUp([]);
    nowMs += 300_000;
    await closeLeftWindows(uses(), { leads: true });
  });
  expect((await events()).map((one) => one.type)).toEqual(['service.stopped', 'service.started']);
  expect(await leftWindows()).toEqual([]);
});
