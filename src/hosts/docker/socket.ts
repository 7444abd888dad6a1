/** Where the engine's socket is, unless it is told. */
import { existsSync } from 'node:fs';
import { HoldfastError } from '../../base/errors.ts';

/** Of a machine reached through another host nothing is known: the usual place. */
export const usualSocket = '/var/run/docker.sock';

/** The first socket there is on this machine. `host.unreachable` if DOCKER_HOST names something that is not a socket. */
export function findSocket(environment: NodeJS.ProcessEnv): string | undefined {
  const named = environment.DOCKER_HOST;
  if (named) return socketOfUrl(named);
  const personal = environment.XDG_RUNTIME_DIR;
  const places = [
    usualSocket,
    ...(personal ? [`${personal}/docker.sock`] : []),
    '/run/podman/podman.sock',
    ...(personal ? [`${personal}/podman/podman.sock`] : []),
  ];
  return places.find((place) => existsSync(place));
}

function socketOfUrl(url: string): string {
  if (url.startsWith('unix:///')) return url.slice('unix://'.length);
  throw new HoldfastError({
    code: 'host.unreachable',
    message: 'DOCKER_HOST does not name a socket (unix:///…)',
    remedy: 'Name the socket with "socket", and the machine it is on as a host of its own with "on".',
  });
}
