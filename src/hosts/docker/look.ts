/** What an engine has: containers and volumes, as its lists say. */
import type Docker from 'dockerode';
import type { EngineContents, SeenContainer, SeenMount } from '../host.ts';
import { type EngineApi, engineFailure } from './api.ts';
import { findContainer, projectLabel, serviceLabel } from './find-container.ts';

/** Two requests, whatever their number. `host.unreachable`, `host.command-failed`. */
export async function lookInside(api: EngineApi, hiddenLabel: string): Promise<EngineContents> {
  try {
    const [containers, { Volumes }] = await Promise.all([
      api.docker.listContainers({ all: true }),
      api.docker.listVolumes(),
    ]);
    return {
      containers: containers.filter((one) => one.Labels?.[hiddenLabel] === undefined).map(seen),
      volumes: (Volumes ?? []).map(({ Name, Mountpoint }) => ({ name: Name, path: Mountpoint })),
    };
  } catch (error) {
    throw engineFailure(api, 'list its containers and volumes', error);
  }
}

/** The environment a container was made with. */
export async function environmentOf(api: EngineApi, container: string): Promise<ReadonlyMap<string, string>> {
  const { facts } = await findContainer(api, container);
  return new Map(
    (facts.Config.Env ?? []).map((line): [string, string] => {
      const at = line.indexOf('=');
      return at < 0 ? [line, ''] : [line.slice(0, at), line.slice(at + 1)];
    }),
  );
}

function seen({
  Id,
  Names,
  Image,
  State,
  Labels,
  Ports,
  Mounts,
  NetworkSettings,
}: Docker.ContainerInfo): SeenContainer {
  const project = Labels?.[projectLabel];
  const service = Labels?.[serviceLabel];
  const networks = Object.values(NetworkSettings?.Networks ?? {});
  return {
    id: Id,
    name: Names?.[0]?.replace(/^\//, '') ?? Id.slice(0, 12),
    ...(project && service ? { service: `${project}/${service}` } : {}),
    image: Image,
    isRunning: State === 'running',
    ports: (Ports ?? []).map(({ PrivatePort, PublicPort }) => ({
      inside: PrivatePort,
      ...(PublicPort ? { machine: PublicPort } : {}),
    })),
    addresses: networks.flatMap(({ IPAddress }) => (IPAddress ? [IPAddress] : [])),
    mounts: (Mounts ?? []).map(seenMount),
    labels: Labels ?? {},
  };
}

function seenMount({ Type, Name, Source, Destination }: Docker.ContainerInfo['Mounts'][number]): SeenMount {
  return { ...(Type === 'volume' && Name ? { volume: Name } : {}), from: Source, inside: Destination };
}
