/** Looks at this machine and at the declared hosts, each bounded in time; one that does not answer is told of, not passed over. */
import { hostname, networkInterfaces } from 'node:os';
import { HoldfastError, hasCode } from '../../base/errors.ts';
import { inTime } from '../../base/in-time.ts';
import { localHost } from '../../config/index.ts';
import type { EngineContents, Host } from '../../hosts/host.ts';
import type { SeenMachine, SilentMachine } from '../../policy/coverage/facts.ts';
import { describeError } from '../describe-error.ts';
import type { Execution, SourceAccess } from '../operation.ts';
import { lookAround, usualRoots } from '../setup/look-around.ts';
import { HostPool } from '../sources/host-pool.ts';
import { lookScript, parseLook } from './look-script.ts';
import { type Machine, machineOf } from './machines.ts';

export interface LookRequest {
  readonly roots: readonly string[];
  /** Entries of `hosts:`, `local` among them; absent: all. */
  readonly hosts?: readonly string[];
  readonly timeoutMs: number;
}

export type LookUses = SourceAccess & Execution;
type HostedUses = LookUses & { readonly hosts: HostPool };

const mostDatabases = 2000;
/** Bytes of what a machine tells; more is cut, and the machine counts as not seen to the end. */
const mostTold = 4 << 20;

/** All at the same time. */
export async function lookAtMachines(
  request: LookRequest,
  uses: LookUses,
): Promise<{ seen: SeenMachine[]; silent: SilentMachine[] }> {
  const machines = machinesToSee(request, uses);
  const outcomes = await Promise.all(machines.map(async (machine) => await tryToSee(machine, request, uses)));
  return {
    seen: outcomes.flatMap((one) => ('message' in one ? [] : [one])),
    silent: outcomes.flatMap((one) => ('message' in one ? [one] : [])),
  };
}

/** Each machine once, by the first entry that reaches it; containers of this machine's engine are seen from outside. */
function machinesToSee({ hosts }: LookRequest, uses: LookUses): Machine[] {
  const all = [localHost, ...uses.config.hosts.keys()].map((name) => machineOf(name, uses));
  const chosen = all.filter(({ name, container }) => container === undefined && (hosts?.includes(name) ?? true));
  return [...new Map(chosen.toReversed().map((one) => [one.machine, one])).values()].toReversed();
}

async function tryToSee(machine: Machine, request: LookRequest, uses: LookUses): Promise<SeenMachine | SilentMachine> {
  const { clock, signal } = uses;
  const { timeoutMs } = request;
  const late = new HoldfastError({
    code: 'host.unreachable',
    message: `${machine.name} did not answer within ${Math.round(timeoutMs / 1000)} s`,
    remedy: `Try it out with: holdfast host check ${machine.name}; or give it more time: --timeout.`,
    retry: 'later',
  });
  try {
    return await inTime({ clock, signal, timeoutMs }, late, async (inner) => {
      // Hosts of its own: what does not answer is given up with the signal, and closes with nothing else.
      await using hosts = new HostPool({ ...uses, signal: inner });
      const bounded = { ...uses, hosts, signal: inner };
      return await (machine.name === localHost ? seeLocal(request, bounded) : seeFar(machine, request, bounded));
    });
  } catch (error) {
    if (signal.aborted || hasCode(error, 'cancelled')) throw error;
    const { code, message, remedy } = describeError(error);
    return { host: machine.name, code, message, remedy };
  }
}

async function seeLocal({ roots, timeoutMs }: LookRequest, uses: HostedUses): Promise<SeenMachine> {
  const { clock, signal } = uses;
  const longestMs = timeoutMs * 0.8;
  const [contents, found, told] = await Promise.all([
    engineContents(uses),
    lookAround({ roots: roots.length > 0 ? roots : usualRoots, clock, signal, longestMs, mostDatabases }),
    tell(uses.hosts.local, [], signal),
  ]);
  const looked = parseLook(told, contents !== undefined);
  const addresses = Object.values(networkInterfaces()).flatMap((one) => (one ?? []).map(({ address }) => address));
  return {
    host: localHost,
    machine: localHost,
    names: [hostname(), ...addresses],
    isComplete: looked.isComplete && !found.incomplete,
    files: found.databases,
    servers: looked.servers,
    containers: contents?.containers ?? [],
    volumes: contents?.volumes ?? [],
  };
}

/** `undefined` where there is no engine. */
async function engineContents({ openContainers }: LookUses): Promise<EngineContents | undefined> {
  const engine = await openContainers();
  if (!engine) return undefined;
  try {
    return await engine.look();
  } finally {
    await engine.close();
  }
}

async function seeFar({ name, machine }: Machine, { roots }: LookRequest, uses: HostedUses): Promise<SeenMachine> {
  const host = await uses.hosts.get(name);
  const looked = parseLook(await tell(host, roots.length > 0 ? roots : usualRoots, uses.signal), false);
  const names = [machine.replace(/:\d+$/, ''), host.hostname];
  return { host: name, machine, names, ...looked, containers: [], volumes: [] };
}

async function tell(host: Host, roots: readonly string[], signal: AbortSignal): Promise<string> {
  const process = await host.run({ argv: ['sh', '-c', lookScript, 'look', ...roots], signal });
  await process.endInput();
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of process.stdout) {
    if (bytes < mostTold) parts.push(Uint8Array.from(chunk));
    bytes += chunk.byteLength;
  }
  await process.exit;
  return Buffer.concat(parts).toString('utf8');
}
