import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Clock, systemClock } from '../../base/clock.ts';
import { localHost } from '../../hosts/local/index.ts';
import type { RunEvent } from '../../model/run.ts';
import type { HookStep, StopStep } from '../../model/window.ts';
import { serviceClaim } from './claims.ts';
import { recordsIn } from './open-records.ts';
import { ownIdentity } from './owner.ts';
import { leftRecords, type WindowRecord } from './records.ts';
import { repairWindows } from './repair.ts';
import type { Services } from './services.ts';
import { MaintenanceWindow } from './window.ts';

const host = localHost();
const never = new AbortController().signal;
let folder: string;
let directory: string;
let machine: { readonly running: Set<string>; broken: string[]; onStart: (name: string) => Promise<void> };
let events: RunEvent[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-claims-'));
  directory = join(folder, 'windows');
  machine = { running: new Set(['db', 'web']), broken: [], onStart: async () => undefined };
  events = [];
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Looks every second take place at once. */
const clock: Clock = { ...systemClock, sleep: (ms, options) => systemClock.sleep(ms < 2000 ? 1 : ms, options) };
const services: Services = {
  isRunning: async ({ name }) => machine.running.has(name),
  dependents: async () => [],
  stop: async ({ name }) => void machine.running.delete(name),
  start: async ({ name }) => {
    await machine.onStart(name);
    if (machine.broken.includes(name)) throw new Error('its disk is full');
    machine.running.add(name);
  },
};

const stop = (name: string): StopStep => ({ stop: { kind: 'unit', name }, timeoutMs: 60_000 });
const mark = (word: string): HookStep => ({ run: ['sh', '-c', `echo ${word} >> ${folder}/marks`], timeoutMs: 60_000 });
const marks = (): string[] => readFileSync(join(folder, 'marks'), 'utf8').trim().split('\n');

function windowOf(
  source: string,
  names: readonly string[],
  after: readonly HookStep[] = [],
  onFailure: 'abort' | 'continue' = 'abort',
): MaintenanceWindow {
  return new MaintenanceWindow({
    ...{ host, services, clock, report: (event) => void events.push(event) },
    records: recordsIn(directory),
    plan: { before: names.map(stop), after, onFailure },
    about: { config: '/etc/holdfast.yaml', source, host: 'local', machine: 'local' },
  });
}

const repair = (claimed?: () => Promise<ReadonlySet<string>>) =>
  repairWindows({
    ...{ directory, clock, claimed },
    isOurs: () => true,
    isAgain: () => true,
    reach: async () => ({ host, services }),
  });

/** As a backup leaves it that could not start `names`. */
async function leave(source: string, names: readonly string[], after: readonly HookStep[] = []): Promise<void> {
  const window = windowOf(source, names, after);
  await window.begin(never);
  machine.broken = [...names];
  await window.end();
  expect(window.outcome.failures).toHaveLength(names.length);
}

/** As a process that was killed leaves it. */
function leaveDead(record: Partial<WindowRecord>): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const about = { format: 1, config: '/etc/holdfast.yaml', source: 'shop', host: 'local', openedAtMs: 0 };
  const text = JSON.stringify({ ...about, stopped: [], after: [], ...record });
  writeFileSync(join(directory, '0123456789abcdef.1-1-another-boot.json'), text, { mode: 0o600 });
  for (const { stop: one } of record.stopped ?? []) machine.running.delete(one.name);
}

test('what an earlier backup left stopped is not started in the middle of the next one, but at its end', async () => {
  await leave('shop', ['db']);
  const second = windowOf('shop', ['db']);
  await second.begin(never);
  machine.broken = [];
  expect(await repair()).toEqual([]);
  expect(machine.running.has('db')).toBe(false);
  await second.end();
  expect(machine.running.has('db')).toBe(true);
  expect(second.outcome.failures).toEqual([]);
  expect(second.outcome.notes).toEqual([
    'the service db had been left stopped by an earlier backup: it was for this one to start it',
  ]);
  expect(readdirSync(directory)).toEqual([]);
});

test('what still does not start is a failure of the backup that took it over, and is left again', async () => {
  await leave('shop', ['db']);
  const second = windowOf('shop', ['db']);
  await second.begin(never);
  await second.end();
  expect(second.outcome.failures).toEqual(['the service db IS STILL STOPPED: its disk is full']);
  machine.broken = [];
  expect((await repair()).map((one) => one.isClosed)).toEqual([true]);
  expect([machine.running.has('db'), readdirSync(directory)]).toEqual([true, []]);
});

test('of a window that was left the next one takes over what it stops itself; all else is started meanwhile', async () => {
  leaveDead({ source: 'other', stopped: [stop('web'), stop('db')], after: [mark('other')] });
  const window = windowOf('shop', ['db.service']);
  await window.begin(never);
  const [repaired] = await repair();
  expect(repaired.started).toEqual([stop('web')]);
  expect([...machine.running]).toEqual(['web']);
  expect(marks()).toEqual(['other']);
  await window.end();
  expect([...machine.running]).toEqual(['web', 'db']);
});

test('steps that a killed backup of the same source did not take wait for the end of the next one, and are taken once', async () => {
  leaveDead({ after: [mark('off'), mark('gone')] });
  const window = windowOf('shop', ['db'], [mark('off')]);
  await window.begin(never);
  expect(await repair()).toEqual([]);
  await window.end();
  expect(marks()).toEqual(['gone', 'off']);
});

test('a window that fails before it comes to its stops starts what it took over all the same', async () => {
  await leave('shop', ['db']);
  machine.broken = [];
  const window = new MaintenanceWindow({
    ...{ host, services, clock, report: () => undefined, records: recordsIn(directory) },
    plan: { before: [{ run: ['false'], timeoutMs: 60_000 }, stop('db')], after: [], onFailure: 'abort' },
    about: { config: '/etc/holdfast.yaml', source: 'shop', host: 'local', machine: 'local' },
  });
  await expect(window.begin(never)).rejects.toThrow('a step before the backup failed');
  await window.end();
  expect([machine.running.has('db'), readdirSync(directory)]).toEqual([true, []]);
});

test('two backups that stop the same service are not open at once: the second waits, and says what for', async () => {
  const [a, b] = [windowOf('wiki-db', ['web']), windowOf('wiki-uploads', ['web', 'db'])];
  await a.begin(never);
  let isOpen = false;
  const opened = b.begin(never).then(() => {
    isOpen = true;
  });
  await expect.poll(() => events.some((one) => one.type === 'note')).toBe(true);
  expect(events.filter((one) => one.type === 'note')).toEqual([
    { type: 'note', message: 'the window waits for another backup, whose window has the service web on local' },
  ]);
  expect([isOpen, machine.running.has('db')]).toEqual([false, true]);
  await a.end();
  await opened;
  expect(machine.running.size).toBe(0);
  await b.end();
  expect([a.outcome.failures, b.outcome.failures]).toEqual([[], []]);
  expect([machine.running.size, readdirSync(directory)]).toEqual([2, []]);
});

test('many that come at once are open one after another', async () => {
  let open = 0;
  let most = 0;
  const one = async (source: string): Promise<void> => {
    const window = windowOf(source, ['web', 'db']);
    await window.begin(never);
    most = Math.max(most, ++open);
    expect(machine.running.size).toBe(0);
    await systemClock.sleep(2);
    expect(machine.running.size).toBe(0);
    open--;
    await window.end();
    expect(window.outcome.failures).toEqual([]);
  };
  await Promise.all(['a', 'b', 'c', 'd', 'e'].map(one));
  expect([most, machine.running.size]).toEqual([1, 2]);
});

test('who is cancelled while it waits takes no steps: they are of the other one', async () => {
  const first = windowOf('shop', ['web']);
  await first.begin(never);
  const cancel = new AbortController();
  const second = windowOf('shop', ['web'], [mark('off')]);
  const opened = second.begin(cancel.signal);
  opened.catch(() => undefined);
  await expect.poll(() => events.length).toBeGreaterThan(1);
  cancel.abort();
  await expect(opened).rejects.toMatchObject({ code: 'cancelled' });
  await second.end();
  expect([second.isUsed, readdirSync(directory).length]).toEqual([false, 1]);
  expect(() => marks()).toThrow('ENOENT');
  await first.end();
});

test('a window waits for who is starting just then what it is to stop', async () => {
  await leave('shop', ['db']);
  machine.broken = [];
  const begun: Promise<void>[] = [];
  const window = windowOf('shop', ['db']);
  machine.onStart = async () => {
    begun.push(window.begin(never));
    await expect.poll(() => events.some((one) => one.type === 'note')).toBe(true);
  };
  const [repaired] = await repair();
  machine.onStart = async () => undefined;
  expect(repaired.isClosed).toBe(true);
  await Promise.all(begun);
  expect(machine.running.has('db')).toBe(false);
  await window.end();
  expect([window.outcome.failures, machine.running.has('db')]).toEqual([[], true]);
});

test('what a window elsewhere has claimed is not started here', async () => {
  await leave('shop', ['db']);
  machine.broken = [];
  const claim = serviceClaim(stop('db').stop, 'local');
  expect(await repair(async () => new Set([claim]))).toEqual([]);
  expect((await repair()).map((one) => one.isClosed)).toEqual([true]);
});

test('a backup does not count as good if somebody else started what had to stand still', async () => {
  const window = windowOf('shop', ['db', 'worker', 'web']);
  await window.begin(never);
  machine.running.add('web').add('worker');
  const moved = [
    'the service worker was started by somebody else while it had to stand still: what was read may not be whole',
    'the service web was started by somebody else while it had to stand still: what was read may not be whole',
  ];
  expect(await window.end()).toMatchObject({ code: 'source.changed', message: moved.join('; '), retry: 'later' });
  expect(events.flatMap((event) => (event.type === 'warning' ? [event.message] : []))).toEqual(moved);
  expect(machine.running).toEqual(new Set(['db', 'web', 'worker']));
});

test('who wants a backup whatever fails around it keeps that one, too, and it is a failure', async () => {
  const window = windowOf('shop', ['db'], [], 'continue');
  await window.begin(never);
  machine.running.add('db');
  expect(await window.end()).toBeUndefined();
  expect(window.outcome.failures).toEqual([expect.stringContaining('the service db was started by somebody else')]);
});

test('a window elsewhere that opens while a machine is reached keeps what it has claimed from being started', async () => {
  leaveDead({ stopped: [stop('db')] });
  let claimed: ReadonlySet<string> = new Set();
  const tools = { directory, clock, isOurs: () => true, isAgain: () => true, claimed: async () => claimed };
  const reach = async () => {
    claimed = new Set([serviceClaim(stop('db').stop, 'local')]);
    return { host, services };
  };
  expect(await repairWindows({ ...tools, reach })).toEqual([]);
  expect(machine.running.has('db')).toBe(false);
  expect((await repair()).map((one) => one.isClosed)).toEqual([true]);
});

test('a record that cannot be taken over is told of, not too often, and keeps no other from being made good', async () => {
  leaveDead({ stopped: [stop('db')] });
  // Stand for a read-only disk: what is there can be neither renamed nor removed.
  const own = join(directory, `0123456789abcdef.${ownIdentity()}.json`);
  mkdirSync(own);
  mkdirSync(join(directory, '00000000000000aa.1-1-another-boot.json.new'));
  const other = { format: 1, config: '/etc/holdfast.yaml', source: 'wiki', host: 'local', openedAtMs: 0, after: [] };
  const text = JSON.stringify({ ...other, stopped: [stop('web')] });
  writeFileSync(join(directory, 'fedcba9876543210.1-1-another-boot.json'), text, { mode: 0o600 });
  machine.running.delete('web');
  const [failed, done] = (await repair()).filter(({ source }) => source === 'shop' || source === 'wiki');
  expect(failed).toMatchObject({ isClosed: false, started: [], rest: { stopped: [stop('db')] } });
  expect(failed.failures).toEqual([expect.stringMatching(/^the service db: not repaired: .*EISDIR/)]);
  expect([done.isClosed, [...machine.running]]).toEqual([true, ['web']]);
  // As every command of a process does that has tried it once: not again, until its time has come.
  const ids = (await leftRecords(directory)).map(({ id, record }) => record && id);
  expect(ids).not.toContain('0123456789abcdef');
  rmSync(own, { recursive: true });
  expect((await repair()).map((one) => one.isClosed)).toEqual([true]);
  expect(machine.running.has('db')).toBe(true);
});

test('steps afterwards are taken once, also where that cannot be written down', async () => {
  const window = windowOf('shop', ['db', 'web'], [mark('off')]);
  await window.begin(never);
  const [name] = readdirSync(directory);
  mkdirSync(join(directory, `${name}.new`)); // stands for a full disk: nothing can be written
  machine.broken = ['db'];
  await window.end();
  expect(window.outcome.failures[1]).toContain('the record of the window could not be brought up to date');
  for (let look = 0; look < 5; look++) {
    const [repaired] = await repair();
    expect(repaired).toMatchObject({ isClosed: false, started: [], rest: { stopped: [stop('db')], after: [] } });
    expect(repaired.failures[0]).toBe('the service db IS STILL STOPPED: its disk is full');
  }
  expect(marks()).toEqual(['off']);
  rmSync(join(directory, `${name}.new`), { recursive: true });
  expect((await repair())[0].rest).toMatchObject({ stopped: [stop('db')] });
  machine.broken = [];
  expect((await repair()).map((one) => one.isClosed)).toEqual([true]);
  expect([marks(), readdirSync(directory)]).toEqual([['off'], []]);
});

test('what a killed process left is made up for once, also where that cannot be written down', async () => {
  leaveDead({ stopped: [stop('db')], after: [mark('off')] });
  machine.broken = ['db'];
  machine.onStart = async () => {
    const [name] = readdirSync(directory).filter((one) => !one.endsWith('.new'));
    mkdirSync(join(directory, `${name}.new`), { recursive: true });
  };
  const [first] = await repair();
  expect(first).toMatchObject({ isClosed: false, rest: { stopped: [stop('db')], after: [] } });
  expect(first.failures).toHaveLength(2);
  await repair();
  await repair();
  expect(marks()).toEqual(['off']);
});

test('what this process could not start another one may, and takes it over whole', async () => {
  await leave('shop', ['db']);
  const [name] = readdirSync(directory);
  expect(name).toMatch(/^[0-9a-f]{16}\.left\.json$/);
  expect(await leftRecords(directory)).toEqual([]);
  expect(JSON.parse(readFileSync(join(directory, name), 'utf8'))).not.toHaveProperty('claims');
});
