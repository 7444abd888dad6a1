/** From what a person calls a container to the container. */
import type Docker from 'dockerode';
import { HoldfastError } from '../../base/errors.ts';
import { type EngineApi, engineFailure, statusOf } from './api.ts';

export const projectLabel = 'com.docker.compose.project';
export const serviceLabel = 'com.docker.compose.service';
/** `True` for containers of `docker compose run`: they are of the service by name only, and often stay behind. */
const oneOffLabel = 'com.docker.compose.oneoff';

export interface FoundContainer {
  readonly container: Docker.Container;
  readonly facts: Docker.ContainerInspectInfo;
  /** Its name, without the slash the API puts before it. */
  readonly name: string;
}

/**
 * By name, id (or a unique start of it), or `compose-project/service`: the one that runs, or the only one there is.
 * `host.unreachable` if there is none, or more than one; with `isOnly` also if there are others that do not run.
 */
export async function findContainer(api: EngineApi, wanted: string, isOnly = false): Promise<FoundContainer> {
  const container = api.docker.getContainer(await idOf(api, wanted, isOnly));
  try {
    const facts = await container.inspect();
    return { container: api.docker.getContainer(facts.Id), facts, name: facts.Name.replace(/^\//, '') };
  } catch (error) {
    if (statusOf(error) === 404) throw unknownContainer(api, wanted, error);
    throw engineFailure(api, `inspect the container ${wanted}`, error);
  }
}

async function idOf(api: EngineApi, wanted: string, isOnly: boolean): Promise<string> {
  if (!wanted.includes('/')) return encodeURIComponent(wanted);
  const [project, service, ...more] = wanted.split('/');
  if (!project || !service || more.length > 0) throw unknownContainer(api, wanted);
  const label = [`${projectLabel}=${project}`, `${serviceLabel}=${service}`];
  const all = await api.docker.listContainers({ all: true, filters: { label } }).catch((error: unknown) => {
    throw engineFailure(api, 'list its containers', error);
  });
  const found = all.filter(({ Labels }) => Labels?.[oneOffLabel] !== 'True');
  const running = found.filter((one) => one.State === 'running');
  const candidates = running.length > 0 && !isOnly ? running : found;
  if (candidates.length === 0) throw unknownContainer(api, wanted);
  if (candidates.length > 1) throw severalContainers(wanted, candidates);
  return candidates[0].Id;
}

function unknownContainer(api: EngineApi, wanted: string, cause?: unknown): HoldfastError {
  return new HoldfastError({
    code: 'host.unreachable',
    message: `there is no container ${wanted} in the engine at ${api.address}`,
    remedy: 'Check the name (docker ps -a); a service of a compose project is named "project/service".',
    retry: 'later',
    cause,
  });
}

function severalContainers(wanted: string, found: readonly Docker.ContainerInfo[]): HoldfastError {
  const names = found.map((one) => one.Names[0]?.replace(/^\//, '') ?? one.Id.slice(0, 12));
  return new HoldfastError({
    code: 'host.unreachable',
    message: `${wanted} has ${found.length} containers: ${names.join(', ')}`,
    remedy: 'Name one of them.',
  });
}
