/** What is on a machine and in no snapshot: databases, servers, containers, volumes that no source means. */
import { formatBytes } from '../../base/bytes.ts';
import type { DeclaredSource, Gap, SeenContainer, SeenMachine, SeenServer } from './facts.ts';
import { asksContainer, asksServer, holdsPath, kindOfImage } from './matches.ts';
import { containerSource, fileSource, newName, serverSource } from './yaml.ts';

export interface Declared {
  readonly sources: readonly DeclaredSource[];
  /** The policy that suggestions use. */
  readonly policy?: string;
  /** Names of sources, suggested ones included. */
  readonly taken: Set<string>;
}

export function unseenOn(seen: SeenMachine, declared: Declared): Gap[] {
  const open = seen.containers.filter((one) => isUncovered(one, seen, declared));
  return [
    ...seen.files.flatMap((file) => gapOfFile(file, seen, declared)),
    ...seen.servers.flatMap((server) => gapOfServer(server, seen, declared)),
    ...open.map((container) => gapOfContainer(container, seen, declared)),
    ...seen.volumes.flatMap((volume) => gapOfVolume(volume, seen, declared)),
  ];
}

function gapOfFile(file: { path: string; sizeBytes: number }, seen: SeenMachine, declared: Declared): Gap[] {
  const { path, sizeBytes } = file;
  const holders = declared.sources.filter((source) => holdsPath(source, path, seen));
  if (holders.some((one) => one.isConsistent || one.isQuiet)) return [];
  const subject = `SQLite database ${path}`;
  const name = newName(
    path
      .split('/')
      .at(-1)!
      .replace(/\.[^.]*$/, ''),
    declared.taken,
  );
  const host = seen.host;
  const yaml = fileSource('sqlite', path, { name, host, policy: declared.policy });
  const remedy = 'Declare it as a source of its own: it is copied as of one moment while programs go on writing.';
  const [holder] = holders;
  if (holder === undefined) {
    const message = `the SQLite database ${path} (${formatBytes(sizeBytes)}) is in no source`;
    return [{ kind: 'database-uncovered', level: 'uncovered', subject, host, message, remedy, yaml }];
  }
  const message = `the SQLite database ${path} is copied by ${holder.name} as a plain file: a copy made while it is written to may be useless`;
  return [{ kind: 'database-as-file', level: 'weak', subject, host, source: holder.name, message, remedy, yaml }];
}

function gapOfServer(server: SeenServer, seen: SeenMachine, declared: Declared): Gap[] {
  if (declared.sources.some((source) => asksServer(source, server, seen))) return [];
  const { kind, ports, directory } = server;
  if (directory !== undefined && declared.sources.some((source) => holdsPath(source, directory, seen))) return [];
  const where =
    directory === undefined ? (ports.length > 0 ? `at port ${ports.join(', ')}` : 'running') : `in ${directory}`;
  const name = newName(kind.split(' ')[0], declared.taken);
  return [
    {
      kind: 'server-uncovered',
      level: 'uncovered',
      subject: `${kind} ${where}`,
      host: seen.host,
      message: `no source asks the ${kind} server ${directory === undefined ? where : `whose data is ${where}`}`,
      remedy:
        'Make a user for backups (docs/drivers has the statements), store its password in a file, and declare a source.',
      yaml: serverSource(kind, ports.at(0), { name, host: seen.host, policy: declared.policy }),
    },
  ];
}

function isUncovered(container: SeenContainer, seen: SeenMachine, { sources }: Declared): boolean {
  const kind = kindOfImage(container.image);
  return kind !== undefined && !sources.some((source) => asksContainer(source, { container, kind }, seen));
}

function gapOfContainer(container: SeenContainer, seen: SeenMachine, declared: Declared): Gap {
  const kind = kindOfImage(container.image)!;
  const { name, service, isRunning } = container;
  const source = newName(service?.split('/')[1] ?? name, declared.taken);
  return {
    kind: 'server-uncovered',
    level: 'uncovered',
    subject: `container ${name}`,
    host: seen.host,
    message: `no source asks the ${kind} server in the container ${name} (${container.image}${isRunning ? '' : ', stopped'})`,
    remedy:
      'Make a user for backups (docs/drivers has the statements), store its password in a file, and declare a source.',
    yaml: containerSource(kind, service ?? name, { name: source, host: seen.host, policy: declared.policy }),
  };
}

/** A volume without a name of its own counts only while a container uses it; one of a database belongs to its server. */
function gapOfVolume(volume: { name: string; path: string }, seen: SeenMachine, declared: Declared): Gap[] {
  const users = seen.containers.filter(({ mounts }) => mounts.some((mount) => mount.volume === volume.name));
  const isAnonymous = /^[0-9a-f]{64}$/.test(volume.name);
  if (isAnonymous && users.length === 0) return [];
  if (users.some(({ image }) => kindOfImage(image) !== undefined)) return [];
  if (declared.sources.some((source) => holdsPath(source, volume.path, seen))) return [];
  const title = isAnonymous ? `volume of ${users[0].name}` : `volume ${volume.name}`;
  const use = users.length === 0 ? 'no container uses it' : `used by ${users.map(({ name }) => name).join(', ')}`;
  const name = newName(isAnonymous ? users[0].name : volume.name, declared.taken);
  return [
    {
      kind: 'volume-uncovered',
      level: 'uncovered',
      subject: title,
      host: seen.host,
      message: `no source copies the ${title} (${use})`,
      remedy:
        'Copy its files; a service that writes to them is stopped for that moment with «window: { before: [{ stop: … }] }».',
      yaml: fileSource('files', volume.path, { name, host: seen.host, policy: declared.policy }),
    },
  ];
}
