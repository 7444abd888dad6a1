/** The connection to an engine's API (Docker Engine API 1.41, which Podman serves too): where it is, and what its failures mean. */
import { Agent, type ClientRequestArgs } from 'node:http';
import { createConnection } from 'node:net';
import type { Duplex } from 'node:stream';
import type Docker from 'dockerode';
import { HoldfastError, messageOf, systemCode } from '../../base/errors.ts';
import type { Host } from '../host.ts';

export interface EngineApi {
  readonly docker: Docker;
  /** For people: `unix:///run/docker.sock`, `unix:///run/docker.sock on nas`. */
  readonly address: string;
  /** The engine runs on this machine, as far as its socket tells. */
  readonly isLocal: boolean;
  close(): void;
}

/** Opens no connection yet. `through` is the host on which the socket is, absent for this machine. */
export async function engineApi(socketPath: string, through?: Host): Promise<EngineApi> {
  // it takes 30 MB and a tenth of a second to load: only for those who have containers
  const { default: Client } = await import('dockerode');
  const agent = new SocketAgent(socketPath, through);
  // `host` is given so that a DOCKER_HOST in the environment does not win over the socket
  const options: Docker.DockerOptions & { agent: Agent } = { socketPath, host: undefined, protocol: 'http', agent };
  const docker = new Client(options);
  return {
    docker,
    address: `unix://${socketPath}${through ? ` on ${through.name}` : ''}`,
    isLocal: through === undefined,
    close: () => agent.destroy(),
  };
}

/** Each request has a connection of its own: none is found dead after a pause, and none keeps the process alive. */
class SocketAgent extends Agent {
  readonly #socketPath: string;
  readonly #through: Host | undefined;

  constructor(socketPath: string, through: Host | undefined) {
    super({ keepAlive: false, maxSockets: Number.POSITIVE_INFINITY });
    this.#socketPath = socketPath;
    this.#through = through;
  }

  override createConnection(
    _options: ClientRequestArgs,
    done?: (error: Error | null, stream: Duplex) => void,
  ): Duplex | null | undefined {
    if (!this.#through) return createConnection({ path: this.#socketPath });
    this.#through.connect({ socketPath: this.#socketPath }).then(
      (stream) => done?.(null, stream),
      (error: Error) => done?.(error, undefined as unknown as Duplex),
    );
    return undefined;
  }
}

/** The HTTP status of an answer that dockerode turned into an error. */
export function statusOf(error: unknown): number | undefined {
  return error instanceof Error && 'statusCode' in error ? Number(error.statusCode) : undefined;
}

/** What the engine said, without the frame dockerode puts around it. */
export function engineWords(error: unknown): string {
  return messageOf(error)
    .replace(/^\(HTTP code \d+\) [^-]* - /, '')
    .trim();
}

const remedies: Readonly<Record<string, string>> = {
  ENOENT: 'Start the container engine, or name its socket with "socket".',
  ECONNREFUSED: 'Start the container engine: the socket is there, but nobody listens.',
  EACCES: 'Run as root or as a member of the group that owns the socket (often "docker").',
};

/** For a request that failed while doing `what` (`inspect the container app`). */
export function engineFailure(api: Pick<EngineApi, 'address'>, what: string, error: unknown): HoldfastError {
  if (error instanceof HoldfastError) return error;
  const status = statusOf(error);
  if (status === undefined) {
    const code = systemCode(error);
    return new HoldfastError({
      code: 'host.unreachable',
      message: `the container engine at ${api.address} cannot be asked to ${what}: ${code ?? messageOf(error)}`,
      remedy: remedies[code ?? ''] ?? 'Check that the container engine runs and that its socket can be reached.',
      retry: 'later',
      cause: error,
    });
  }
  return new HoldfastError({
    code: 'host.command-failed',
    message: `the container engine at ${api.address} refused to ${what}: ${engineWords(error)}`,
    remedy: 'Its own log says more.',
    context: { status },
    cause: error,
  });
}
