/** What the labels of this machine's containers declare, and their secrets when they are needed. */
import { HoldfastError } from '../../../base/errors.ts';
import { Secret } from '../../../base/secrets.ts';
import type { Declared, Problem } from '../../../config/index.ts';
import type { ContainerEngine, SeenContainer } from '../../../hosts/host.ts';
import type { SourceAccess } from '../../operation.ts';
import type { LabelReading } from '../config-store.ts';
import { declare, hasLabels } from './declare.ts';

type Uses = Pick<SourceAccess, 'openContainers'>;

/** Containers that do not run count too: what was declared stays declared. `host.unreachable` if no engine answers. */
export async function readContainerLabels(uses: Uses): Promise<LabelReading> {
  return await withEngine(uses, 'labels of containers cannot be read', async (engine) => {
    const { containers } = await engine.look();
    const declared: Declared[] = [];
    const problems: Problem[] = [];
    const taken = new Set<string>();
    const shared = sharedServices(containers);
    for (const container of containers.filter(hasLabels).toSorted((a, b) => a.name.localeCompare(b.name))) {
      const read = declare(container, await engine.environment(container.id), { taken, shared });
      taken.add(read.source);
      declared.push(...read.declared);
      problems.push(...read.problems);
    }
    return { declared, problems };
  });
}

/** What service a container is says a label, too: an image may claim to be that of another one. */
function sharedServices(containers: readonly SeenContainer[]): Set<string> {
  const services = containers.flatMap(({ service }) => service ?? []);
  return new Set(services.filter((one, at) => services.indexOf(one) !== at));
}

/** A variable in a container's environment, read anew each time. `secret.unavailable`, `host.unreachable`. */
export async function readContainerSecret(uses: Uses, container: string, variable: string): Promise<Secret> {
  return await withEngine(uses, `the environment of the container ${container} cannot be read`, async (engine) => {
    const value = (await engine.environment(container)).get(variable);
    if (value !== undefined && value !== '') return new Secret(value);
    throw new HoldfastError({
      code: 'secret.unavailable',
      message: `the environment of the container ${container} has no ${variable}`,
      remedy: 'Correct the label, or the environment of the container.',
    });
  });
}

async function withEngine<Result>(
  { openContainers }: Uses,
  failure: string,
  work: (engine: ContainerEngine) => Promise<Result>,
): Promise<Result> {
  const engine = await openContainers();
  if (!engine) {
    throw new HoldfastError({
      code: 'host.unreachable',
      message: `${failure}: no container engine answers on this machine`,
      remedy: 'Start it, and see that this user may use its socket. DOCKER_HOST=unix:///path names another one.',
      retry: 'later',
    });
  }
  try {
    return await work(engine);
  } finally {
    await engine.close();
  }
}
