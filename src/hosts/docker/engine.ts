/** Throwaway containers for drills. */

import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import type Docker from 'dockerode';
import { type Clock, systemClock } from '../../base/clock.ts';
import { HoldfastError, throwIfCancelled } from '../../base/errors.ts';
import type { ContainerEngine, ContainerRequest, ThrowawayContainer } from '../host.ts';
import { type EngineApi, engineApi, engineFailure, engineWords, statusOf } from './api.ts';
import { containerHost } from './container-host.ts';
import { containerControl } from './control.ts';
import { environmentOf, lookInside } from './look.ts';
import { findSocket } from './socket.ts';

const throwawayLabel = 'holdfast.throwaway';
/** An engine that runs answers this in milliseconds. */
const answerWaitMs = 5000;
const ownerLabel = 'holdfast.owner';

/**
 * The engine at `socket`, or at the place where engines usually are; `undefined` where no API answers. Throwaways have no
 * network but their own loopback: a restored database must not reach out, and nobody but this program needs to reach in.
 */
export async function openContainerEngine(
  socket?: string,
  options: { clock?: Clock } = {},
): Promise<ContainerEngine | undefined> {
  const { clock = systemClock } = options;
  const socketPath = socket ?? socketIfTold();
  if (socketPath === undefined) return undefined;
  const api = await engineApi(socketPath);
  const version = await askVersion(api, clock);
  if (!version) {
    api.close();
    return undefined;
  }
  const component = version.Components?.[0]?.Name ?? 'Docker Engine';
  const engine = /podman/i.test(component) ? 'podman' : 'docker';
  return {
    title: `${engine} ${version.Version} at ${api.address}`,
    start: (request) => startThrowaway(api, clock, request),
    removeLeftovers: () => removeLeftovers(api),
    control: containerControl(api),
    look: () => lookInside(api, throwawayLabel),
    environment: (container) => environmentOf(api, container),
    close: async () => api.close(),
  };
}

/** `undefined` if there is no answer, or none in time. */
async function askVersion(api: EngineApi, clock: Clock): Promise<Docker.DockerVersion | undefined> {
  const answered = new AbortController();
  clock.sleep(answerWaitMs, { signal: answered.signal, background: true }).then(
    () => api.close(),
    () => undefined,
  );
  try {
    return await api.docker.version();
  } catch {
    return undefined;
  } finally {
    answered.abort();
  }
}

function socketIfTold(): string | undefined {
  try {
    return findSocket(process.env);
  } catch {
    return undefined; // DOCKER_HOST is a machine elsewhere, where nothing of ours is to be started unasked
  }
}

async function startThrowaway(api: EngineApi, clock: Clock, request: ContainerRequest): Promise<ThrowawayContainer> {
  throwIfCancelled(request.signal);
  await provideImage(api, request);
  const container = await create(api, request);
  try {
    throwIfCancelled(request.signal);
    await container.start();
    const facts = await container.inspect();
    if (!facts.State.Running) throw await endedEarly(container, request, facts.State.ExitCode);
    const host = await containerHost({ api, container, facts, clock });
    return {
      host,
      [Symbol.asyncDispose]: async () => {
        await host.close();
        await remove(api, container);
      },
    };
  } catch (error) {
    await remove(api, container);
    if (statusOf(error) === undefined) throw error;
    throw engineFailure(api, `start a container of ${request.image}`, error);
  }
}

async function create(api: EngineApi, request: ContainerRequest): Promise<Docker.Container> {
  try {
    return await api.docker.createContainer({
      Image: request.image,
      ...(request.argv ? { Cmd: [...request.argv] } : {}),
      Env: Object.entries(request.env ?? {}).map(([name, value]) => `${name}=${value}`),
      Labels: { [throwawayLabel]: '1', [ownerLabel]: describeOwner() },
      HostConfig: { NetworkMode: 'none', RestartPolicy: { Name: 'no' } },
    });
  } catch (error) {
    throw engineFailure(api, `create a container of ${request.image}`, error);
  }
}

/** Pulls the image unless it is there. */
async function provideImage(api: EngineApi, request: ContainerRequest): Promise<void> {
  const { image, signal } = request;
  try {
    await api.docker.getImage(image).inspect();
    return;
  } catch (error) {
    if (statusOf(error) !== 404) throw engineFailure(api, `look for the image ${image}`, error);
  }
  try {
    const progress = await api.docker.pull(image, { abortSignal: signal });
    // an error in the middle of a pull comes as a message of an answer that says 200
    await new Promise<void>((resolve, reject) => {
      api.docker.modem.followProgress(progress, (error: Error | null) => (error ? reject(error) : resolve()));
    });
    await api.docker.getImage(image).inspect();
  } catch (error) {
    throwIfCancelled(signal);
    throw new HoldfastError({
      code: 'host.command-missing',
      message: `there is no image ${image} in the engine at ${api.address}, and it cannot be pulled: ${engineWords(error)}`,
      remedy: `Pull or import it there (docker pull ${image}), or let the drill use programs of this machine.`,
      retry: 'later',
      cause: error,
    });
  }
}

async function endedEarly(container: Docker.Container, { image }: ContainerRequest, status: number) {
  const log = await container.logs({ stdout: true, stderr: true, tail: 5 }).catch(() => Buffer.alloc(0));
  // control characters: the frames of the log
  const words = log
    .toString('utf8')
    .replace(/\p{Cc}+/gu, ' ')
    .trim();
  return new HoldfastError({
    code: 'host.command-failed',
    message: `the container of ${image} ended at once with status ${status}${words ? `: ${words}` : ''}`,
    remedy: 'Check what the image needs to start (variables, arguments).',
  });
}

/** With its anonymous volumes. That it is gone already, or is being removed by another, is what was wanted. */
async function remove(api: EngineApi, container: Docker.Container): Promise<void> {
  try {
    await container.remove({ force: true, v: true });
  } catch (error) {
    if ([404, 409].includes(statusOf(error) ?? 0)) return;
    throw engineFailure(api, `remove the throwaway container ${container.id.slice(0, 12)}`, error);
  }
}

/** Machine, process and the moment it started: a process id alone comes round again. */
function describeOwner(): string {
  return `${hostname()}/${process.pid}/${startOf(process.pid)}`;
}

async function removeLeftovers(api: EngineApi): Promise<readonly string[]> {
  const filters = { label: [`${throwawayLabel}=1`] };
  const found = await api.docker.listContainers({ all: true, filters }).catch((error: unknown) => {
    throw engineFailure(api, 'list its containers', error);
  });
  const removed: string[] = [];
  for (const { Id, Names, Labels } of found) {
    if (!isAbandoned(Labels[ownerLabel] ?? '')) continue;
    await remove(api, api.docker.getContainer(Id));
    removed.push(Names[0]?.replace(/^\//, '') ?? Id.slice(0, 12));
  }
  return removed;
}

/** Of other machines' throwaways nothing is known. */
function isAbandoned(owner: string): boolean {
  const [machine, id, start] = owner.split('/');
  return machine === hostname() && start !== undefined && startOf(Number(id)) !== start;
}

/** When a process started, in ticks since this machine's boot (proc_pid_stat(5)), with the boot's id; empty if it does not run. */
function startOf(id: number): string {
  try {
    const stat = readFileSync(`/proc/${id}/stat`, 'latin1');
    const ticks = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()}-${ticks}`;
  } catch {
    return '';
  }
}
