/** What is written of a container under `hosts:`. */
import { z } from 'zod';

export const dockerSettings = z.strictObject({
  docker: z
    .string()
    .min(1)
    .describe('The container: its name, its id, or "compose-project/service". It has to run while it is used.'),
  socket: z
    .string()
    .startsWith('/')
    .optional()
    .describe(
      'Path of the Docker API socket. Default: DOCKER_HOST if that is a socket, else the first there is of /var/run/docker.sock, $XDG_RUNTIME_DIR/docker.sock, /run/podman/podman.sock and $XDG_RUNTIME_DIR/podman/podman.sock.',
    ),
  on: z
    .string()
    .optional()
    .describe(
      'Another host, on whose machine the engine runs: the socket is reached through it. Default: this machine.',
    ),
  user: z
    .string()
    .optional()
    .describe(
      'Who programs run as in the container: a name or number, with ":group" if wanted. Default: as the image says.',
    ),
});

export type DockerSettings = z.infer<typeof dockerSettings>;
