/** Finds a server program that can load a snapshot's data: on this machine, else as a container image. */
import { HoldfastError, hasCode } from '../../base/errors.ts';
import type { ContainerEngine, Host } from '../../hosts/host.ts';
import type { SourceContext, Throwaway } from '../driver.ts';
import type { Dump } from './dump.ts';
import type { Settings } from './settings.ts';
import { canLoad, compareVersions, parseServerVersion, type ServerVersion, serverTitle } from './versions.ts';

type Source = SourceContext<Settings>;

/** Where a throwaway server is to run. Disposing removes what was started for it. */
export interface Place extends AsyncDisposable {
  readonly host: Host;
  readonly program: string;
  readonly server: ServerVersion;
  /** Where it runs, for people. */
  readonly title: string;
  /** On `host`; it may have to be made. */
  readonly directory: string;
}

const names = ['redis-server', 'valkey-server'] as const;
const folderInContainer = '/holdfast';

/** `host.command-missing` if nothing suits. */
export async function findPlace(source: Source, dump: Dump, throwaway: Throwaway): Promise<Place> {
  const { host, directory, containers } = throwaway;
  const { serverProgram, image } = source.settings;
  const found = image === undefined ? await installed(host, serverProgram, source.signal) : [];
  const best = found.filter(({ server }) => canLoad(server, dump.header, dump.server)).toSorted(nearest(dump))[0];
  if (best)
    return {
      ...best,
      host,
      directory,
      title: `${serverTitle(best.server)} (${best.program})`,
      [Symbol.asyncDispose]: async () => {},
    };
  if (containers && serverProgram === undefined) return await inContainer(source, dump, containers);
  throw nothingSuits(dump, found);
}

interface Installed {
  readonly program: string;
  readonly server: ServerVersion;
}

async function installed(host: Host, chosen: string | undefined, signal: AbortSignal): Promise<Installed[]> {
  const found: Installed[] = [];
  for (const program of chosen === undefined ? names : [chosen]) {
    try {
      found.push({ program, server: await versionOf(host, program, signal) });
    } catch (error) {
      if (chosen !== undefined || !hasCode(error, 'host.command-missing', 'host.command-failed')) throw error;
    }
  }
  return found;
}

async function versionOf(host: Host, program: string, signal: AbortSignal): Promise<ServerVersion> {
  const process = await host.run({ argv: [program, '--version'], signal });
  await process.endInput();
  const parts: Uint8Array[] = [];
  for await (const part of process.stdout) parts.push(Buffer.from(part));
  const { status } = await process.exit;
  const server = parseServerVersion(Buffer.concat(parts).toString('utf8'));
  if (status === 0 && server) return server;
  throw new HoldfastError({
    code: 'host.command-failed',
    message: `${program} --version does not answer as redis-server or valkey-server does`,
    remedy: 'Check that the program is a Redis or Valkey server and runs on this machine.',
  });
}

/** The source's own product first, then the version next to its own. */
function nearest({ server }: Dump): (a: Installed, b: Installed) => number {
  const distance = (one: Installed): number => (one.server.product === server?.product ? 0 : 1);
  return (a, b) => distance(a) - distance(b) || compareVersions(a.server.version, b.server.version);
}

function nothingSuits({ header, server }: Dump, found: readonly Installed[]): HoldfastError {
  const wanted = server ? serverTitle(server) : `${header.product} that reads RDB version ${header.version}`;
  const have = found.map((one) => `${one.program} is ${serverTitle(one.server)}`).join(', ');
  return new HoldfastError({
    code: 'host.command-missing',
    message: `no server on this machine can load the data of ${wanted}${have === '' ? '' : ` (${have})`}`,
    remedy: `Install ${wanted} or newer here, name its program with «serverProgram», or make a container engine available.`,
  });
}

async function inContainer(source: Source, dump: Dump, containers: ContainerEngine): Promise<Place> {
  const { signal, settings } = source;
  const image = settings.image ?? imageOf(dump);
  const container = await containers.start({ image, argv: ['sleep', 'infinity'], signal });
  const { host } = container;
  try {
    const [best] = (await installed(host, undefined, signal)).toSorted(nearest(dump));
    if (!best || !canLoad(best.server, dump.header, dump.server)) throw nothingSuits(dump, best ? [best] : []);
    const title = `${serverTitle(best.server)} (image ${image} in ${containers.title})`;
    return {
      ...best,
      host,
      title,
      directory: folderInContainer,
      [Symbol.asyncDispose]: () => container[Symbol.asyncDispose](),
    };
  } catch (error) {
    await container[Symbol.asyncDispose]();
    throw error;
  }
}

function imageOf({ server, header }: Dump): string {
  const { product, version } = server ?? { product: header.product, version: undefined };
  const tag = version === undefined ? 'latest' : version.split('.').slice(0, 2).join('.');
  return `docker.io/${product === 'valkey' ? 'valkey/valkey' : 'library/redis'}:${tag}`;
}
