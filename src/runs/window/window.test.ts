import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Clock, systemClock } from '../../base/clock.ts';
import type { ContainerControl } from '../../hosts/host.ts';
import { localHost } from '../../hosts/local/index.ts';
import type { RunEvent } from '../../model/run.ts';
import type { HookStep, StopStep, WindowPlan } from '../../model/window.ts';
import { recordsIn } from './open-records.ts';
import { leftRecords, type WindowRecord } from './records.ts';
import { repairWindows } from './repair.ts';
import { controlByProgram, servicesOn } from './services.ts';
import { MaintenanceWindow } from './window.ts';

const host = localHost();
let folder: string;
let directory: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-window-'));
  directory = join(folder, 'state', 'windows');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Containers in memory, with what was done to them in order. Every stop and start takes a second of the clock. */
class Machine implements ContainerControl {
  readonly running: Set<string>;
  readonly done: string[] = [];
  broken = '';
  onStop = (): void => {};
  nowMs = 0;

  constructor(...running: string[]) {
    this.running = new Set(running);
  }

  async stop(name: string) {
    this.onStop();
    this.done.push(`stop ${name}`);
    this.nowMs += 1000;
    this.running.delete(name);
    if (this.broken === `stop ${name}`) throw new Error('it was not in the mood');
  }

  async start(name: string) {
    if (this.broken === `start ${name}`) throw new Error('its disk is full');
    this.nowMs += 1000;
    if (!this.running.has(name)) this.done.push(`start ${name}`);
    this.running.add(name);
  }

  isRunning = async (name: string): Promise<boolean> => this.running.has(name);
  clock: Clock = { nowMs: () => this.nowMs, monotonicMs: () => this.nowMs, sleep: systemClock.sleep };
}

const stop = (name: string, timeoutMs = 60_000): StopStep => ({ stop: { kind: 'container', name }, timeoutMs });
const hook = (script: string, timeoutMs = 60_000): HookStep => ({ run: ['sh', '-c', script], timeoutMs });
const mark = (word: string): HookStep => hook(`echo ${word} >> ${folder}/marks`);
const marks = (): string[] =>
  existsSync(join(folder, 'marks')) ? readFileSync(join(folder, 'marks'), 'utf8').trim().split('\n') : [];
const plan = (before: WindowPlan['before'], more: Partial<WindowPlan> = {}): WindowPlan => ({
  before,
  after: [],
  onFailure: 'abort',
  ...more,
});

function windowOf(machine: Machine, wanted: WindowPlan, events: RunEvent[] = []): MaintenanceWindow {
  return new MaintenanceWindow({
    plan: wanted,
    host,
    services: servicesOn(host, async () => machine),
    clock: machine.clock,
    report: (event) => events.push(event),
    records: recordsIn(directory),
    about: { config: '/etc/holdfast.yaml', source: 'shop', host: 'local' },
  });
}

const never = new AbortController().signal;
const records = (): string[] => (existsSync(directory) ? readdirSync(directory) : []);

test('what runs is stopped in order and started in reverse order; what stood still is left so', async () => {
  const machine = new Machine('web', 'db');
  const window = windowOf(machine, plan([stop('web'), stop('worker'), stop('db')]));
  await window.begin(never);
  expect(machine.running.size).toBe(0);
  expect(records()).toHaveLength(1);
  machine.nowMs += 10_000;
  await window.end();
  expect(machine.done).toEqual(['stop web', 'stop db', 'start db', 'start web']);
  expect(window.outcome).toEqual({
    downtimeMs: 14_000,
    notes: ['the container worker was not running and stays stopped', 'web, db stood still for 14.0 s'],
    failures: [],
  });
  expect(records()).toEqual([]);
});

test('before anything is stopped it stands in a record that only this user can read or write', async () => {
  const machine = new Machine('web', 'db');
  const seen: string[][] = [];
  machine.onStop = () => {
    const [name] = readdirSync(directory);
    const { mode } = statSync(join(directory, name));
    expect(mode & 0o077).toBe(0);
    const record = JSON.parse(readFileSync(join(directory, name), 'utf8')) as WindowRecord;
    seen.push(record.stopped.map((one) => one.stop.name));
  };
  const window = windowOf(machine, plan([stop('web'), stop('db')]));
  await window.begin(never);
  await window.end();
  expect(seen).toEqual([['web'], ['web', 'db']]);
  expect(statSync(directory).mode & 0o077).toBe(0);
});

test('a step before that fails ends the backup; what it stopped is started, and the steps after run all the same', async () => {
  const machine = new Machine('web', 'db');
  const before = [mark('one'), stop('web'), hook('echo no license >&2; exit 3'), stop('db')];
  const window = windowOf(machine, plan(before, { after: [mark('last'), mark('first')] }));
  await expect(window.begin(never)).rejects.toThrow(
    'a step before the backup failed: sh ended with status 3: no license',
  );
  await window.end();
  expect(machine.done).toEqual(['stop web', 'start web']);
  expect(marks()).toEqual(['one', 'first', 'last']);
  expect(window.outcome.failures).toEqual([]);
  expect(records()).toEqual([]);
});

test('a step before that fails may be passed over, which is noted', async () => {
  const machine = new Machine('web', 'db');
  const events: RunEvent[] = [];
  machine.broken = 'stop web';
  const window = windowOf(machine, plan([stop('web'), hook('exit 1'), stop('db')], { onFailure: 'continue' }), events);
  await window.begin(never);
  await window.end();
  expect(machine.running).toEqual(new Set(['web', 'db']));
  expect(window.outcome.notes.filter((note) => note.includes('although a step before it failed'))).toHaveLength(2);
  expect(events.filter((event) => event.type === 'warning')).toHaveLength(2);
});

test('what fails afterwards keeps nothing else from being done, is said, and is left for the next command', async () => {
  const machine = new Machine('web', 'db');
  const events: RunEvent[] = [];
  const window = windowOf(
    machine,
    plan([stop('web'), stop('db')], { after: [mark('a'), hook('exit 9'), mark('b')] }),
    events,
  );
  await window.begin(never);
  machine.broken = 'start db';
  await window.end();
  expect(machine.running).toEqual(new Set(['web']));
  expect(marks()).toEqual(['b', 'a']);
  expect(window.outcome.downtimeMs).toBeUndefined();
  expect(window.outcome.failures).toEqual([
    'the container db IS STILL STOPPED: its disk is full',
    'a step after the backup failed: sh ended with status 9',
  ]);
  expect(events.filter((event) => event.type === 'warning')).toHaveLength(2);
  const [name] = records();
  const left = JSON.parse(readFileSync(join(directory, name), 'utf8')) as WindowRecord;
  expect([left.stopped.map((one) => one.stop.name), left.after]).toEqual([['db'], []]);
});

test('a step that takes too long is killed and is a failure', async () => {
  const machine = new Machine();
  const pidFile = join(folder, 'pid');
  // Its time is over as soon as it says who it is, and not before.
  const isOver = () => expect.poll(() => existsSync(pidFile) && statSync(pidFile).size).toBeGreaterThan(0);
  machine.clock = { ...machine.clock, sleep: async () => await isOver() };
  const window = windowOf(machine, plan([hook(`echo $$ > ${pidFile}; sleep 600`, 300)]));
  await expect(window.begin(never)).rejects.toThrow('sh did not end within 0.3 s and was killed');
  const pid = readFileSync(pidFile, 'utf8').trim();
  await expect.poll(() => existsSync(`/proc/${pid}`)).toBe(false);
  await window.end();
});

test('cancelling ends a step before, and everything is started again all the same', async () => {
  const machine = new Machine('web');
  const cancel = new AbortController();
  const window = windowOf(
    machine,
    plan([stop('web'), hook(`touch ${folder}/begun; sleep 600`)], { after: [mark('after')] }),
  );
  const begun = window.begin(cancel.signal);
  begun.catch(() => {});
  await expect.poll(() => existsSync(join(folder, 'begun'))).toBe(true);
  cancel.abort();
  await expect(begun).rejects.toMatchObject({ code: 'cancelled' });
  await window.end();
  expect(machine.running).toEqual(new Set(['web']));
  expect(marks()).toEqual(['after']);
});

test('nothing is stopped where it cannot be written down', async () => {
  const machine = new Machine('web');
  writeFileSync(join(folder, 'state'), 'a file');
  const window = windowOf(machine, plan([stop('web')], { after: [mark('after')] }));
  await expect(window.begin(never)).rejects.toMatchObject({ code: 'storage.io' });
  await window.end();
  expect([machine.done, marks()]).toEqual([[], []]);
});

/** As a process that was killed leaves it: its id is of nobody. */
function leave(record: Partial<WindowRecord>, owner = '1-1-another-boot'): string {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const name = `0123456789abcdef.${owner}.json`;
  const about = { format: 1, config: '/etc/holdfast.yaml', source: 'shop', host: 'local', openedAtMs: 0 };
  writeFileSync(join(directory, name), JSON.stringify({ ...about, stopped: [], after: [], ...record }), {
    mode: 0o600,
  });
  return name;
}

const repair = (machine: Machine, isAgain?: (id: string) => boolean) =>
  repairWindows({
    isAgain,
    directory,
    clock: machine.clock,
    isOurs: () => true,
    reach: async () => ({ host, services: servicesOn(host, async () => machine) }),
  });

test('what a killed process left is started again, and its steps afterwards are made up for, once', async () => {
  const machine = new Machine();
  leave({ stopped: [stop('web'), stop('db')], after: [mark('after')] });
  writeFileSync(join(directory, 'fedcba9876543210.1-1-another-boot.json.new'), '{');
  const both = await Promise.all([repair(machine), repair(machine)]);
  expect(both.flat()).toHaveLength(1);
  expect(both.flat()[0].done[0]).toContain('the container web was started again: a backup of shop');
  expect(machine.done).toEqual(['start db', 'start web']);
  expect(marks()).toEqual(['after']);
  expect(records()).toEqual([]);
});

test('what cannot be started is left for the next who comes, and said', async () => {
  const machine = new Machine();
  machine.broken = 'start web';
  leave({ stopped: [stop('web')] });
  expect((await repair(machine))[0].failures).toEqual(['the container web IS STILL STOPPED: its disk is full']);
  expect(records()).toHaveLength(1);
  expect(await leftRecords(directory)).toEqual([]);
  expect(await leftRecords(directory, { own: true })).toHaveLength(1);
  machine.broken = '';
  expect(await repair(machine)).toEqual([]);
  const both = await Promise.all([repair(machine, () => true), repair(machine, () => true)]);
  expect(both.flat().map((one) => one.isClosed)).toEqual([true]);
  expect([machine.running, records()]).toEqual([new Set(['web']), []]);
});

test('the record of a process that lives is left alone; one that others could have written is not obeyed, but told of', async () => {
  const machine = new Machine('web');
  const window = windowOf(machine, plan([stop('web')]));
  await window.begin(never);
  expect(await repair(machine)).toEqual([]);
  expect(machine.running.size).toBe(0);
  await window.end();
  const name = leave({ stopped: [stop('other')] });
  chmodSync(join(directory, name), 0o666);
  expect((await repair(machine))[0].failures[0]).toContain('cannot be read or trusted');
  expect(machine.running).toEqual(new Set(['web']));
});

/** A program of that name before all others in PATH. */
function program(name: string, script: string): AsyncDisposable {
  const bin = join(folder, 'bin');
  mkdirSync(bin, { recursive: true });
  writeFileSync(join(bin, name), `#!/bin/sh\n${script}`, { mode: 0o755 });
  const { PATH } = process.env;
  process.env.PATH = `${bin}:${PATH}`;
  return {
    async [Symbol.asyncDispose]() {
      process.env.PATH = PATH;
    },
  };
}

const limits = { clock: systemClock, timeoutMs: 60_000 };

test('services of systemd are asked about, stopped and started by their names', async () => {
  await using _ = program(
    'systemctl',
    `for unit; do :; done
     case $1 in
       show) [ "$unit" = app ] && echo LoadState=loaded || echo LoadState=not-found; echo ActiveState=$(cat ${folder}/state-of-app 2>/dev/null || echo inactive) ;;
       start) echo active > ${folder}/state-of-app ;;
       stop) [ "$unit" = app ] || { echo "Unit $unit not loaded." >&2; exit 5; }; echo inactive > ${folder}/state-of-app ;;
     esac`,
  );
  const services = servicesOn(host, async () => new Machine());
  const app = { kind: 'unit', name: 'app' } as const;
  expect(await services.isRunning(app, limits)).toBe(false);
  await services.start(app, limits);
  expect(await services.isRunning(app, limits)).toBe(true);
  await services.stop(app, limits);
  expect(await services.isRunning(app, limits)).toBe(false);
  const other = { kind: 'unit', name: 'other' } as const;
  await expect(services.isRunning(other, limits)).rejects.toThrow('there is no service other on local');
  await expect(services.stop(other, limits)).rejects.toThrow(
    'the service other could not be stopped: systemctl ended with status 5: Unit other not loaded.',
  );
});

test('a service that is about to end is waited for, and one that ends at once was not started', async () => {
  const states = join(folder, 'states');
  await using _ = program(
    'systemctl',
    `[ "$1" = show ] || exit 0
     echo LoadState=loaded; echo ActiveState=$(head -n 1 ${states}); sed -i 1d ${states}`,
  );
  const services = servicesOn(host, async () => new Machine());
  const app = { kind: 'unit', name: 'app' } as const;
  writeFileSync(states, 'deactivating\ndeactivating\ninactive\n');
  expect(await services.isRunning(app, limits)).toBe(false);
  expect(readFileSync(states, 'utf8')).toBe('');
  // It was restarted.
  writeFileSync(states, 'deactivating\nactive\n');
  expect(await services.isRunning(app, limits)).toBe(true);
  writeFileSync(states, 'deactivating\n'.repeat(9));
  await expect(services.isRunning(app, { ...limits, timeoutMs: 300 })).rejects.toThrow('did not end in time');
  writeFileSync(states, 'failed\n');
  await expect(services.start(app, limits)).rejects.toThrow('failed as soon as it was started');
});

test('services that systemd stops along with another are started with it', async () => {
  const units = join(folder, 'units');
  mkdirSync(units);
  await using _ = program(
    'systemctl',
    `cd ${units}; for unit; do :; done
     case $1 in
       show) echo LoadState=loaded; echo ActiveState=$(cat $unit 2>/dev/null || echo inactive)
         case $unit in db) echo RequiredBy=app.service multi-user.target; echo ConsistsOf=idle.service ;; app.service) echo BoundBy=web.service db.service ;; esac ;;
       start) echo "start $unit" >> calls; echo active > $unit ;;
       stop) echo "stop $unit" >> calls; echo inactive > $unit ;;
     esac`,
  );
  for (const unit of ['db', 'app.service', 'web.service', 'multi-user.target'])
    writeFileSync(join(units, unit), 'active\n');
  const window = windowOf(new Machine(), plan([{ stop: { kind: 'unit', name: 'db' }, timeoutMs: 60_000 }]));
  await window.begin(never);
  const stops = ['stop web.service', 'stop app.service', 'stop db'];
  const calls = () => readFileSync(join(units, 'calls'), 'utf8').trim().split('\n');
  expect(calls()).toEqual(stops);
  await window.end();
  expect(calls()).toEqual([...stops, 'start db', 'start app.service', 'start web.service']);
  expect(window.outcome).toMatchObject({ failures: [] });
  expect(window.outcome.notes).toContain('the service app.service was stopped, too: it depends on the service db');
});

test('containers of a machine without an API are stopped and started by its docker program', async () => {
  await using _ = program(
    'docker',
    `echo "$*" >> ${folder}/calls
     case $1 in
       ps) case $* in *project=shop*service=web*oneoff*) echo 77aa ;; *project=shop*service=web*) echo 77aa; echo 4fa6 ;; esac ;;
       inspect) cat ${folder}/running ;;
       stop) echo false > ${folder}/running ;;
       start) echo true > ${folder}/running ;;
     esac`,
  );
  writeFileSync(join(folder, 'running'), 'true\n');
  const control = controlByProgram(host, { clock: systemClock });
  expect(await control.isRunning('web')).toBe(true);
  await control.stop('shop/web', 7000);
  expect(await control.isRunning('shop/web')).toBe(false);
  await control.start('shop/web');
  expect(readFileSync(join(folder, 'calls'), 'utf8')).toContain('stop -t 7 4fa6\n');
  await expect(control.start('shop/none')).rejects.toThrow('not exactly one container');
});
