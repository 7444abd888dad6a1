/** A container as a host: found, or a sentence why not. */
import { HoldfastError } from '../../base/errors.ts';
import type { Host, HostTools } from '../host.ts';
import { engineApi } from './api.ts';
import { containerHost } from './container-host.ts';
import { findContainer } from './find-container.ts';
import type { DockerSettings } from './settings.ts';
import { findSocket, usualSocket } from './socket.ts';

export async function openDockerHost(name: string, settings: DockerSettings, tools: HostTools): Promise<Host> {
  const through = settings.on === undefined ? undefined : await tools.through(settings.on);
  const api = await engineApi(settings.socket ?? (through ? usualSocket : socketHere(name)), through);
  try {
    const { container, facts } = await findContainer(api, settings.docker);
    const { clock } = tools;
    return await containerHost({ api, container, facts, clock, user: settings.user, name, closed: api.close });
  } catch (error) {
    api.close();
    throw error;
  }
}

function socketHere(name: string): string {
  const found = findSocket(process.env);
  if (found !== undefined) return found;
  throw new HoldfastError({
    code: 'host.unreachable',
    message: `no container engine was found on this machine for the host ${name}`,
    remedy: 'Start Docker or Podman (podman system service), or name its socket with "socket".',
    retry: 'later',
  });
}
