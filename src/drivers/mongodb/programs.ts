/** Finds a mongod that can take a snapshot's data: on this machine, else as a container image. */
import { HoldfastError, hasCode } from '../../base/errors.ts';
import type { ContainerEngine, Host } from '../../hosts/host.ts';
import type { SourceContext, Throwaway } from '../driver.ts';
import type { Dump } from './dump.ts';
import type { Settings } from './settings.ts';
import { compareReleases, parseRelease, type Release } from './versions.ts';

type Source = SourceContext<Settings>;

/** Where a throwaway server is to run. Disposing removes what was started for it. */
export interface Place extends AsyncDisposable {
  readonly host: Host;
  readonly program: string;
  /** For people. */
  readonly title: string;
  /** On `host`; it may have to be made. */
  readonly directory: string;
}

const usualPlaces = ['mongod', '/usr/bin/mongod', '/usr/local/bin/mongod', '/opt/mongodb/bin/mongod'];
const folderInContainer = '/holdfast';

/** `host.command-missing` if nothing suits. */
export async function findPlace(
  source: Source,
  dump: Dump,
  { host, directory, containers }: Throwaway,
): Promise<Place> {
  const { serverProgram, image } = source.settings;
  const wanted = parseRelease(dump.facts.version);
  const found = image === undefined ? await installed(host, serverProgram, source.signal) : [];
  const suits = found.filter(
    ({ release }) => serverProgram !== undefined || !wanted || compareReleases(release, wanted) >= 0,
  );
  const [best] = suits.toSorted((a, b) => compareReleases(a.release, b.release));
  if (best) {
    const title = `MongoDB ${best.release.text} (${best.program})`;
    return { program: best.program, host, directory, title, [Symbol.asyncDispose]: async () => {} };
  }
  if (containers && serverProgram === undefined) return await inContainer(source, wanted, containers);
  throw nothingSuits(wanted, found);
}

interface Installed {
  readonly program: string;
  readonly release: Release;
}

async function installed(host: Host, chosen: string | undefined, signal: AbortSignal): Promise<Installed[]> {
  const found: Installed[] = [];
  for (const program of chosen === undefined ? usualPlaces : [chosen]) {
    try {
      found.push({ program, release: await releaseOf(host, program, signal) });
    } catch (error) {
      if (chosen !== undefined || !hasCode(error, 'host.command-missing', 'host.command-failed')) throw error;
    }
  }
  return found;
}

async function releaseOf(host: Host, program: string, signal: AbortSignal): Promise<Release> {
  const process = await host.run({ argv: [program, '--version'], signal });
  await process.endInput();
  const parts: Uint8Array[] = [];
  for await (const part of process.stdout) parts.push(Buffer.from(part));
  const { status } = await process.exit;
  const release = parseRelease(Buffer.concat(parts).toString('utf8'));
  if (status === 0 && release) return release;
  throw new HoldfastError({
    code: 'host.command-failed',
    message: `${program} --version does not answer as mongod does`,
    remedy: 'Check that the program is a mongod and runs on this machine.',
  });
}

function nothingSuits(wanted: Release | undefined, found: readonly Installed[]): HoldfastError {
  const have = found.map(({ program, release }) => `${program} is ${release.text}`).join(', ');
  const needed = wanted ? `MongoDB ${wanted.major}.${wanted.minor} or newer` : 'a mongod';
  return new HoldfastError({
    code: 'host.command-missing',
    message: `no mongod on this machine can take the data of ${wanted ? `MongoDB ${wanted.text}` : 'the source'}${have === '' ? '' : ` (${have})`}`,
    remedy: `Install ${needed} here, name its program with «serverProgram», or make a container engine available.`,
  });
}

async function inContainer(source: Source, wanted: Release | undefined, containers: ContainerEngine): Promise<Place> {
  const { signal, settings } = source;
  const tag = wanted === undefined ? 'latest' : `${wanted.major}.${wanted.minor}`;
  const image = settings.image ?? `docker.io/library/mongo:${tag}`;
  const container = await containers.start({ image, argv: ['sleep', 'infinity'], signal });
  const { host } = container;
  try {
    const release = await releaseOf(host, 'mongod', signal);
    return {
      host,
      program: 'mongod',
      title: `MongoDB ${release.text} (image ${image} in ${containers.title})`,
      directory: folderInContainer,
      [Symbol.asyncDispose]: () => container[Symbol.asyncDispose](),
    };
  } catch (error) {
    await container[Symbol.asyncDispose]();
    throw error;
  }
}
