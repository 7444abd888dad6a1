/** Whether a source means what was seen. */
import type { Address, DeclaredSource, SeenContainer, SeenMachine, SeenServer, ServerKind } from './facts.ts';

const defaultPorts: Readonly<Record<ServerKind, number>> = {
  PostgreSQL: 5432,
  'MySQL or MariaDB': 3306,
  MongoDB: 27017,
  Redis: 6379,
};

/** By the last part of an image's name, without registry and tag. */
const imageKinds: readonly (readonly [RegExp, ServerKind])[] = [
  [/^(?:postgres(?:ql)?|postgis|timescaledb(?:-ha)?|pgvector|pgvecto-rs|supabase-postgres)$/, 'PostgreSQL'],
  [/^(?:mysql|mysql-server|mariadb|percona|percona-server)$/, 'MySQL or MariaDB'],
  [/^(?:mongo|mongodb|percona-server-mongodb)$/, 'MongoDB'],
  [/^(?:redis|redis-stack|redis-stack-server|valkey|keydb|dragonfly)$/, 'Redis'],
];

/** What a container of this image serves, if it is a database. */
export function kindOfImage(image: string): ServerKind | undefined {
  const name = image
    .split('@')[0]
    .replace(/:[^/:]*$/, '')
    .split('/')
    .at(-1)!;
  return imageKinds.find(([form]) => form.test(name))?.[1];
}

/** True if the source copies the file or folder with all it holds. */
export function holdsPath(source: DeclaredSource, path: string, seen: SeenMachine): boolean {
  return pathsOn(source, seen).some(
    ({ outside, inside }) =>
      (path === outside || outside === '/' || path.startsWith(`${outside}/`)) &&
      !source.leavesOut(inside + path.slice(outside.length)),
  );
}

/** A source in a container names paths as they are in there: what is mounted is found again on the machine. */
function pathsOn(source: DeclaredSource, seen: SeenMachine): { outside: string; inside: string }[] {
  if (source.container === undefined) {
    return source.host === seen.host || (source.machine === seen.machine && source.machine !== '')
      ? source.paths.map((path) => ({ outside: path, inside: path }))
      : [];
  }
  if (source.machine !== seen.machine) return [];
  const container = seen.containers.find((one) => isNamed(one, source.container!));
  return source.paths.flatMap((path) =>
    (container?.mounts ?? []).flatMap(({ from, inside }) => {
      if (path === inside || path.startsWith(`${inside}/`)) {
        return [{ outside: from + path.slice(inside.length), inside: path }];
      }
      return path === '/' || inside.startsWith(`${path}/`) ? [{ outside: from, inside }] : [];
    }),
  );
}

/** True if the source asks this server of the machine. */
export function asksServer(source: DeclaredSource, server: SeenServer, seen: SeenMachine): boolean {
  if (source.server?.kind !== server.kind || source.container !== undefined) return false;
  return source.server.addresses.some((address) => {
    if ('socketPath' in address) return source.machine === seen.machine;
    const isThere = isLoopback(address.host) ? source.machine === seen.machine : seen.names.includes(address.host);
    return isThere && (server.ports.length === 0 || server.ports.includes(address.port));
  });
}

/** True if the source asks the database in this container: from inside, at a published port, or at its own address. */
export function asksContainer(
  source: DeclaredSource,
  { container, kind }: { container: SeenContainer; kind: ServerKind },
  seen: SeenMachine,
): boolean {
  if (source.server?.kind !== kind) return false;
  if (source.container !== undefined) return source.machine === seen.machine && isNamed(container, source.container);
  return source.server.addresses.some((address) => reaches(address, source, { container, kind }, seen));
}

function reaches(
  address: Address,
  source: DeclaredSource,
  { container, kind }: { container: SeenContainer; kind: ServerKind },
  seen: SeenMachine,
): boolean {
  if ('socketPath' in address) {
    const { socketPath } = address;
    return source.machine === seen.machine && container.mounts.some(({ from }) => socketPath.startsWith(`${from}/`));
  }
  const { host, port } = address;
  const isThere = isLoopback(host) ? source.machine === seen.machine : seen.names.includes(host);
  if (isThere) return container.ports.some(({ machine }) => machine === port);
  const ownNames = [container.name, container.service?.split('/')[1], ...container.addresses];
  const inside = container.ports.map((one) => one.inside);
  return ownNames.includes(host) && [...inside, defaultPorts[kind]].includes(port);
}

/** By name, by the beginning of its id, or as a service of compose. */
export function isNamed({ name, id, service }: SeenContainer, wanted: string): boolean {
  return name === wanted || service === wanted || (/^[0-9a-f]{6,64}$/.test(wanted) && id.startsWith(wanted));
}

export function isLoopback(host: string): boolean {
  return host === '' || host === 'localhost' || host.startsWith('127.') || host === '::1';
}
