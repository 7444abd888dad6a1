/** A container as a host. */
import type Docker from 'dockerode';
import type { Clock } from '../../base/clock.ts';
import { HoldfastError } from '../../base/errors.ts';
import type { Host } from '../host.ts';
import type { EngineApi } from './api.ts';
import { archiveFiles } from './archive-files.ts';
import { connectInside } from './connect.ts';
import type { Container } from './container.ts';
import { containerFiles } from './files.ts';
import { openContainerTarget } from './restore-target.ts';
import { runInContainer } from './run.ts';
import { ShellSession } from './shell-session.ts';
import { probeTools } from './tools.ts';

export interface ContainerHostRequest {
  readonly api: EngineApi;
  readonly container: Docker.Container;
  readonly facts: Docker.ContainerInspectInfo;
  readonly clock: Clock;
  readonly user?: string;
  /** The name in the configuration; else the container's. */
  readonly name?: string;
  /** Called when the host is closed. */
  readonly closed?: () => void;
}

const limits = [
  'extended attributes and ACLs of files in containers are not kept',
  'holes of sparse files in containers are read as zeros',
];
const shellLimits = [
  'the image has no shell: all files are read at every backup, from archives that the engine makes, names of one file become files of their own, and times are known to the second only',
];

/** `host.unreachable` if the container does not run. The caller closes the engine's API, unless it says so in `closed`. */
export async function containerHost(request: ContainerHostRequest): Promise<Host> {
  const { api, facts, clock, user } = request;
  const name = facts.Name.replace(/^\//, '');
  mustRun(facts, name);
  const parts = { api, docker: request.container, id: facts.Id, name, clock, ...(user ? { user } : {}) };
  const tools = await probeTools(parts);
  const container: Container = { ...parts, hasShell: tools !== undefined, tools: tools ?? new Set() };
  const session = new ShellSession(container);
  return {
    name: request.name ?? name,
    kind: 'docker',
    hostname: hostnameOf(facts, name),
    files: container.hasShell ? containerFiles(container, session) : archiveFiles(container),
    limits: limitsOf(container),
    run: (command) => runInContainer(container, command),
    connect: (address, signal) => connectInside(container, address, signal),
    openTarget: async (directory, existing) => {
      if (!container.hasShell) throw noTarget(name);
      return await openContainerTarget(session, directory, existing);
    },
    close: async () => {
      await session.close();
      request.closed?.();
    },
  };
}

function mustRun({ State }: Docker.ContainerInspectInfo, name: string): void {
  if (State.Running && !State.Paused) return;
  throw new HoldfastError({
    code: 'host.unreachable',
    message: `the container ${name} ${State.Paused ? 'is paused' : 'does not run'}`,
    remedy: State.Paused ? `Let it go on (docker unpause ${name}).` : `Start it (docker start ${name}).`,
    retry: 'later',
  });
}

function limitsOf({ hasShell, tools }: Container): readonly string[] {
  if (!hasShell) return shellLimits;
  return tools.has('fractions')
    ? limits
    : [...limits, 'times of files in this container are restored to the second only'];
}

function noTarget(name: string): HoldfastError {
  return new HoldfastError({
    code: 'restore.target-invalid',
    message: `nothing can be restored into the container ${name}: its image has no shell`,
    remedy:
      'Restore to the directory of its volume on the machine itself, or to another container that has the volume.',
  });
}

/** A container that was not given a hostname has a new one, its id, each time it is made anew: then its name says more. */
function hostnameOf({ Config, Id }: Docker.ContainerInspectInfo, name: string): string {
  return Config.Hostname && !Id.startsWith(Config.Hostname) ? Config.Hostname : name;
}
