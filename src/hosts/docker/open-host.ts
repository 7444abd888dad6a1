/** A container as a host: found, or a sentence why not. */
import { HoldfastError } from '../../base/errors.ts';
import { inTime, untilAborted } from '../../base/in-time.ts';
import type { Host, HostTools } from '../host.ts';
import { type EngineApi, engineApi } from './api.ts';
import { containerHost } from './container-host.ts';
import { findContainer } from './find-container.ts';
import type { DockerSettings } from './settings.ts';
import { findSocket, usualSocket } from './socket.ts';

/** An engine with much to do takes many seconds to say what a container is. */
const answerMs = 60_000;

export async function openDockerHost(name: string, settings: DockerSettings, tools: HostTools): Promise<Host> {
  const through = settings.on === undefined ? undefined : await tools.through(settings.on);
  const api = await engineApi(settings.socket ?? (through ? usualSocket : socketHere(name)), through);
  const { clock, signal } = tools;
  const open = async (): Promise<Host> => {
    const { container, facts } = await findContainer(api, settings.docker);
    return await containerHost({ api, container, facts, clock, user: settings.user, name, closed: api.close });
  };
  try {
    const limits = { clock, signal, timeoutMs: answerMs };
    return await inTime(limits, silent(api), (both) => untilAborted(both, open));
  } catch (error) {
    api.close();
    throw error;
  }
}

function silent({ address }: EngineApi): HoldfastError {
  return new HoldfastError({
    code: 'host.unreachable',
    message: `the container engine at ${address} takes connections, but does not answer (waited ${answerMs / 1000} s)`,
    remedy: 'Look whether the engine hangs: its own log says more.',
    retry: 'later',
  });
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
