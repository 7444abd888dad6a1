/** Stopping and starting what runs on a source's machine. */
import { HoldfastError } from '../../base/errors.ts';
import { inTime, type Limits } from '../../base/in-time.ts';
import type { ContainerControl, Host } from '../../hosts/host.ts';
import { mustSucceed, runToEnd } from '../../hosts/run-to-end.ts';
import { type Service, titleOf } from '../../model/window.ts';

/** A container engine kills what does not stop in time itself: so much longer it may take to say so. */
const engineGraceMs = 30_000;
/** How often a unit that is about to end is looked at. */
const lookEveryMs = 250;

export interface Services {
  /** One that somebody else is stopping or restarting is waited for: until it stands still it writes. */
  isRunning(service: Service, limits: Limits): Promise<boolean>;
  /** Those that run and would be stopped along with it, but not be started with it; the last that depends comes first. */
  dependents(service: Service, limits: Limits): Promise<readonly Service[]>;
  /** Returns when it does not run. Never cut short by cancelling: a stop that goes on behind a start would win. */
  stop(service: Service, limits: Limits): Promise<void>;
  /** Returns when it runs. Does nothing to one that runs. */
  start(service: Service, limits: Limits): Promise<void>;
}

/** `machine` is where systemd is asked; `control` is called when there is a container to deal with. */
export function servicesOn(machine: Host, control: () => Promise<ContainerControl>): Services {
  return {
    async isRunning(service, limits) {
      if (service.kind === 'unit') return await isUnitActive(machine, service.name, limits);
      return await withEngine(service, limits, async () => (await control()).isRunning(service.name));
    },
    dependents: async (service, limits) =>
      service.kind === 'unit' ? await runningDependents(machine, service.name, limits) : [],
    async stop(service, limits) {
      if (service.kind === 'unit') return await ofUnit(machine, 'stop', service, limits);
      await withEngine(service, limits, async () => (await control()).stop(service.name, limits.timeoutMs));
    },
    async start(service, limits) {
      if (service.kind === 'unit') return await startUnit(machine, service, limits);
      await withEngine(service, limits, async () => (await control()).start(service.name));
    },
  };
}

async function withEngine<T>(service: Service, { clock, timeoutMs }: Limits, task: () => Promise<T>): Promise<T> {
  const late = new HoldfastError({
    code: 'host.unreachable',
    message: `the container engine did not answer in time about ${titleOf(service)}`,
    remedy: 'Look at the container and at the engine, or set a longer timeout.',
  });
  return await inTime({ clock, timeoutMs: timeoutMs + engineGraceMs }, late, task);
}

async function ofUnit(machine: Host, verb: 'stop' | 'start', service: Service, { clock, timeoutMs }: Limits) {
  const argv = ['systemctl', verb, '--', service.name];
  await mustSucceed(machine, argv, `${titleOf(service)} could not be ${verb === 'stop' ? 'stopped' : 'started'}`, {
    ...{ clock, timeoutMs },
  });
}

/** systemd calls a service started as soon as it has tried: one that ends at once is found to have failed. */
async function startUnit(machine: Host, service: Service, limits: Limits): Promise<void> {
  await ofUnit(machine, 'start', service, limits);
  if ((await stateOfUnit(machine, service.name, limits)) !== 'failed') return;
  throw new HoldfastError({
    code: 'host.command-failed',
    message: `${titleOf(service)} failed as soon as it was started`,
    remedy: 'Its log says why (journalctl -u NAME); start it by hand.',
  });
}

/** Units whose stop systemd adds to that of the one they depend on, by the names of these properties (systemd.unit(5), «Requires=»). */
const stopsAlong = ['RequiredBy', 'RequisiteOf', 'BoundBy', 'ConsistsOf', 'PropagatesStopTo'];
/** A target is no service: to start one would start all that it wants. */
const canBeStarted = /\.(?:service|socket|timer|path)$/;

async function runningDependents(machine: Host, name: string, limits: Limits): Promise<Service[]> {
  const itself = canBeStarted.test(name) ? name : `${name}.service`;
  const seen = new Set([itself]);
  const found: Service[] = [];
  for (const unit of seen) {
    const facts = await factsOfUnit(machine, unit === itself ? name : unit, stopsAlong, limits);
    if (unit !== itself && isActive(facts.get('ActiveState') ?? '')) found.unshift({ kind: 'unit', name: unit });
    const names = stopsAlong.flatMap((property) => (facts.get(property) ?? '').split(' '));
    for (const one of names) if (canBeStarted.test(one)) seen.add(one);
  }
  return found;
}

function isActive(state: string): boolean {
  return ['active', 'activating', 'reloading', 'refreshing'].includes(state);
}

async function isUnitActive(machine: Host, name: string, limits: Limits): Promise<boolean> {
  const { clock, timeoutMs } = limits;
  const untilMs = clock.monotonicMs() + timeoutMs;
  for (;;) {
    const state = await stateOfUnit(machine, name, limits);
    if (state !== 'deactivating') return isActive(state);
    if (clock.monotonicMs() >= untilMs) throw neverStops(machine, name);
    await clock.sleep(lookEveryMs, { signal: limits.signal });
  }
}

function neverStops(machine: Host, name: string): HoldfastError {
  return new HoldfastError({
    code: 'host.command-failed',
    message: `somebody stops the service ${name} on ${machine.name}, and it did not end in time`,
    remedy: 'Look what it waits for (systemctl status NAME), or set a longer timeout.',
  });
}

async function stateOfUnit(machine: Host, name: string, limits: Limits): Promise<string> {
  const facts = await factsOfUnit(machine, name, [], limits);
  const state = facts.get('ActiveState');
  if (state !== undefined && facts.get('LoadState') !== 'not-found') return state;
  throw new HoldfastError({
    code: 'host.command-failed',
    message: `there is no service ${name} on ${machine.name}`,
    remedy: 'Check the name with: systemctl status NAME',
  });
}

async function factsOfUnit(
  machine: Host,
  name: string,
  more: readonly string[],
  limits: Limits,
): Promise<ReadonlyMap<string, string>> {
  const properties = ['LoadState', 'ActiveState', ...more].map((property) => `--property=${property}`);
  const { status, stdout, words } = await runToEnd(
    machine,
    { argv: ['systemctl', 'show', ...properties, '--', name] },
    limits,
  );
  if (status === 0) return new Map(stdout.split('\n').map((line) => line.split('=', 2) as [string, string]));
  throw new HoldfastError({
    code: 'host.command-failed',
    message: `systemd on ${machine.name} does not tell of ${name}: systemctl ${words}`,
    remedy: 'Check the name with: systemctl status NAME',
  });
}

/** Containers of a machine whose engine is reached by its own program only (over SSH): `docker`, else `podman`. */
export function controlByProgram(machine: Host, limits: Pick<Limits, 'clock'>): ContainerControl {
  const waitMs = 60_000;
  const engine = `engine=docker; command -v docker >/dev/null 2>&1 || engine=podman; `;
  // project/service: the labels compose puts on what it starts, but for containers of `docker compose run`, which often stay behind
  const find = `case $1 in */*) project=label=com.docker.compose.project=\${1%/*}; service=label=com.docker.compose.service=\${1#*/}; seconds=$2; once=$($engine ps -aq --filter "$project" --filter "$service" --filter label=com.docker.compose.oneoff=True); set --; for id in $($engine ps -aq --filter "$project" --filter "$service"); do case $once in *"$id"*) ;; *) set -- "$@" "$id" ;; esac; done; set -- "$@" "$seconds"; [ $# = 2 ] || { echo "there is not exactly one container of that service" >&2; exit 1; } ;; esac; `;
  const run = (script: string, words: readonly string[], timeoutMs: number) =>
    runToEnd(machine, { argv: ['sh', '-c', `${engine}${find}${script}`, 'sh', ...words] }, { ...limits, timeoutMs });
  const must = async (what: string, script: string, words: readonly string[], timeoutMs: number): Promise<string> => {
    const { status, stdout, words: ending } = await run(script, words, timeoutMs);
    if (status === 0) return stdout;
    throw new HoldfastError({
      code: 'host.command-failed',
      message: `the container ${words[0]} on ${machine.name} ${what}: ${ending}`,
      remedy: 'Check its name, and that the user signed in as may use the container engine.',
    });
  };
  const inspect = `$engine inspect --type container --format '{{.State.Running}}' -- "$1"`;
  // Its engine would remove it when it stands still, and its anonymous volumes with it.
  const refuseRemoval = `[ "$($engine inspect --type container --format '{{.HostConfig.AutoRemove}} {{.State.Running}}' -- "$1")" != "true true" ] || { echo "it was started with --rm, so its engine would remove it, and its anonymous volumes with all data; stop what starts it instead, or start it without --rm" >&2; exit 1; }; `;
  const isRunning = async (name: string): Promise<boolean> =>
    (await must('cannot be inspected', inspect, [name, ''], waitMs)).trim() === 'true';
  return {
    isRunning,
    async stop(name, timeoutMs) {
      const seconds = String(Math.ceil(timeoutMs / 1000));
      const script = `${refuseRemoval}$engine stop -t "$2" "$1"`;
      await must('could not be stopped', script, [name, seconds], timeoutMs + engineGraceMs);
    },
    async start(name) {
      await must('could not be started', `$engine start "$1"`, [name, ''], waitMs);
      if (await isRunning(name)) return;
      throw new HoldfastError({
        code: 'host.command-failed',
        message: `the container ${name} on ${machine.name} ended as soon as it was started`,
        remedy: 'Its log says why; start it by hand.',
      });
    },
  };
}
