/** Streams to what listens in a container. */
import { connect as connectSocket, isIP, type NetConnectOpts } from 'node:net';
import type { Duplex } from 'node:stream';
import type Docker from 'dockerode';
import type { Clock } from '../../base/clock.ts';
import { HoldfastError, messageOf, throwIfCancelled } from '../../base/errors.ts';
import type { Address } from '../host.ts';
import { engineFailure } from './api.ts';
import type { Container } from './container.ts';
import { isSeenHere, resolveInside } from './inside-path.ts';
import { type Relay, relayStream, relaysTo } from './relay.ts';
import { runInContainer } from './run.ts';

/** An address of a container on this machine answers at once or not at all. */
const directWaitMs = 3000;
/** How long a relay that confirms nothing may take to fail. */
const silentWaitMs = 150;

/** How those who try inside say what no other way would change. */
const nobodyListens = /refused|no such file/i;

interface Way {
  readonly name: string;
  readonly isInside: boolean;
  open(): Promise<Duplex>;
}

interface Wanted {
  readonly container: Container;
  readonly facts: Docker.ContainerInspectInfo;
  readonly address: Address;
  readonly signal?: AbortSignal;
}

/**
 * Connects to `address` as the container sees it. On this machine the container's own network address (or the loopback, if
 * it shares the machine's network) is tried first, then programs in the container. `host.unreachable` says what was tried.
 */
export async function connectInside(container: Container, address: Address, signal?: AbortSignal): Promise<Duplex> {
  throwIfCancelled(signal);
  const facts = await container.docker.inspect().catch((error: unknown) => {
    throw engineFailure(container.api, `inspect the container ${container.name}`, error);
  });
  const tried: string[] = [];
  for (const way of waysTo({ container, facts, address, signal })) {
    try {
      return await way.open();
    } catch (error) {
      throwIfCancelled(signal);
      tried.push(`${way.name}: ${messageOf(error)}`);
      if (way.isInside && nobodyListens.test(messageOf(error))) break;
    }
  }
  throw unreachable(address, container.name, tried);
}

/** The best first. */
function* waysTo(wanted: Wanted): Generator<Way> {
  const { container, facts, address, signal } = wanted;
  if (container.api.isLocal) {
    for (const options of directWays(facts, address)) {
      const name = `directly to ${describe(addressOf(options))}`;
      yield { name, isInside: false, open: () => connectDirectly(options, container.clock, signal) };
    }
  }
  const { tools } = container;
  const relays = relaysTo(address);
  for (const relay of relays.filter((one) => tools.has(one.tool))) {
    yield {
      name: `through ${relay.tool} in the container`,
      isInside: true,
      open: () => connectThrough(wanted, relay),
    };
  }
  const path = 'socketPath' in address ? pathFromHere(container, facts, address.socketPath) : undefined;
  if (path !== undefined) {
    yield { name: `through ${path}`, isInside: false, open: () => connectDirectly({ path }, container.clock, signal) };
  }
  if (relays.some((relay) => tools.has(relay.tool))) return;
  const names = relays.map((one) => one.tool).join(', ');
  const open = (): Promise<Duplex> => Promise.reject(new Error(`it has none of ${names}`));
  yield { name: 'through programs in the container', isInside: true, open };
}

/** Where the container's own localhost, or its own name, can be reached from this machine without its help. */
function directWays(facts: Docker.ContainerInspectInfo, address: Address): NetConnectOpts[] {
  if ('socketPath' in address || !isItself(facts, address.host)) return [];
  if (facts.HostConfig.NetworkMode === 'host') return [{ host: '127.0.0.1', port: address.port }];
  const networks = Object.values(facts.NetworkSettings?.Networks ?? {});
  const addresses = networks.map((network) => network.IPAddress);
  const usable = [...new Set(addresses.filter((ip) => ip && isIP(ip)))];
  return usable.map((host) => ({ host, port: address.port }));
}

function isItself(facts: Docker.ContainerInspectInfo, host: string): boolean {
  if (/^127\./.test(host) || host === '::1') return true;
  const names = ['localhost', facts.Config.Hostname, facts.Name.replace(/^\//, ''), facts.Id, facts.Id.slice(0, 12)];
  return names.includes(host);
}

async function connectDirectly(options: NetConnectOpts, clock: Clock, signal?: AbortSignal): Promise<Duplex> {
  const socket = connectSocket(options);
  const settled = new AbortController();
  const stop = (): void => void socket.destroy(new Error('cancelled'));
  signal?.addEventListener('abort', stop, { once: true });
  clock.sleep(directWaitMs, { signal: settled.signal, background: true }).then(
    () => socket.destroy(new Error('no answer')),
    () => undefined,
  );
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return socket;
  } finally {
    settled.abort();
    signal?.removeEventListener('abort', stop);
  }
}

async function connectThrough({ container, address, signal }: Wanted, relay: Relay): Promise<Duplex> {
  const what = `${describe(address)} in the container ${container.name}`;
  const program = await runInContainer(container, { argv: relay.argv, signal });
  const chunks = program.stdout[Symbol.asyncIterator]();
  if (!relay.confirms) {
    await failsEarly(program.exit, container.clock);
    return relayStream(program, chunks, what);
  }
  const first = await chunks.next();
  const bytes = first.done ? Buffer.alloc(0) : Buffer.from(first.value);
  if (bytes[0] !== 43) {
    program.kill();
    const { stderr } = await program.exit;
    throw new Error(lastLine(stderr) || 'it ended');
  }
  const stream = relayStream(program, chunks, what);
  if (bytes.length > 1) stream.unshift(bytes.subarray(1));
  return stream;
}

/** Throws if the program ends with a failure within a moment. */
async function failsEarly(exit: Promise<{ status: number | null; stderr: string }>, clock: Clock): Promise<void> {
  const ended = new AbortController();
  const early = exit.then((found) => {
    ended.abort();
    return found;
  });
  const waited = clock.sleep(silentWaitMs, { signal: ended.signal }).catch(() => undefined);
  const found = await Promise.race([early, waited]);
  if (found && found.status !== 0) throw new Error(lastLine(found.stderr) || `it ended with status ${found.status}`);
}

/** The socket's path from this machine's root, if the container's processes are seen here and we may look into them. */
function pathFromHere(container: Container, facts: Docker.ContainerInspectInfo, path: string): string | undefined {
  const { Pid } = facts.State;
  if (!isSeenHere(container, Pid)) return undefined;
  try {
    return resolveInside(`/proc/${Pid}/root`, path);
  } catch {
    return undefined; // it is not there: one way less
  }
}

function addressOf(options: NetConnectOpts): Address {
  return 'path' in options && options.path
    ? { socketPath: options.path }
    : { host: String('host' in options ? options.host : ''), port: 'port' in options ? Number(options.port) : 0 };
}

function describe(address: Address): string {
  return 'socketPath' in address ? address.socketPath : `${address.host}:${address.port}`;
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? '';
}

function unreachable(address: Address, name: string, tried: readonly string[]): HoldfastError {
  return new HoldfastError({
    code: 'host.unreachable',
    message: `${describe(address)} in the container ${name} cannot be reached; tried ${tried.join('; ')}`,
    remedy: 'Check that the server listens there, or use an image that has python3, perl, socat, nc or bash.',
    retry: 'later',
  });
}
