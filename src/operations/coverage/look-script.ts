/**
 * What is asked of a machine in one go: SQLite files and database servers, by a script for any POSIX shell with the usual
 * small programs (busybox is enough). It reads names, file headers and `/proc`, changes nothing, and tells no arguments
 * or environments of programs, which may hold secrets.
 *
 *     F size path       a file that begins like a SQLite database
 *     P pid ppid name   a process of a database server
 *     N pid namespace   its network namespace; `N self …` is ours
 *     S pid inode       a socket it has open
 *     L pid line        a line of /proc/net/tcp about a listening socket
 *     D kind path       a data directory
 *     E                 the end: everything was looked at
 */
import type { ServerKind } from '../../drivers/driver.ts';
import type { SeenServer } from '../../policy/coverage/facts.ts';

/** Files looked into at most. */
const mostFiles = 3000;

export const lookScript = `
IFS='
'
for root in "$@"; do
  [ -d "$root" ] || continue
  find "$root" -xdev -maxdepth 8 \\( -name '.?*' -o -name node_modules -o -name overlay2 -o -name containerd -o -name snap -o -name flatpak -o -name cache -o -name Cache -o -name lost+found \\) -prune -o -type f \\( -name '*.db' -o -name '*.db3' -o -name '*.sqlite' -o -name '*.sqlite3' -o -name '*.s3db' \\) -print 2>/dev/null
done | head -n ${mostFiles} | while read -r file; do
  case "$(dd if="$file" bs=15 count=1 2>/dev/null)" in
    'SQLite format 3') printf 'F %s %s\\n' "$(stat -c %s "$file" 2>/dev/null || echo 0)" "$file" ;;
  esac
done 2>/dev/null
for process in /proc/[0-9]*; do
  { read -r name < "$process/comm"; } 2>/dev/null || continue
  case "$name" in postgres|postmaster|mysqld|mariadbd|mongod|redis-server|valkey-server) ;; *) continue ;; esac
  id=\${process#/proc/}
  printf 'P %s %s %s\\n' "$id" "$(sed -n 's/^PPid:[^0-9]*//p' "$process/status" 2>/dev/null)" "$name"
  printf 'N %s %s\\n' "$id" "$(readlink "$process/ns/net" 2>/dev/null)"
  ls -l "$process/fd" 2>/dev/null | sed -n "s/.*socket:\\[\\([0-9]*\\)\\]\\$/S $id \\1/p"
  cat "$process/net/tcp" "$process/net/tcp6" 2>/dev/null | grep ' 0A ' | sed "s/^ */L $id /"
done
printf 'N self %s\\n' "$(readlink /proc/self/ns/net 2>/dev/null)"
for folder in /var/lib/postgresql/*/* /var/lib/mysql /var/lib/mongodb /var/lib/redis; do
  [ -n "$(ls -A "$folder" 2>/dev/null)" ] || continue
  case "$folder" in *postgresql*) kind=PostgreSQL ;; *mysql) kind=MySQL ;; *mongodb) kind=MongoDB ;; *) kind=Redis ;; esac
  printf 'D %s %s\\n' "$kind" "$folder"
done
echo E
`;

export interface Looked {
  readonly files: { path: string; sizeBytes: number }[];
  /** Those that run, then data directories of kinds of which none runs. Servers in containers are left out. */
  readonly servers: SeenServer[];
  readonly isComplete: boolean;
}

const kinds: Readonly<Record<string, ServerKind>> = {
  postgres: 'PostgreSQL',
  postmaster: 'PostgreSQL',
  mysqld: 'MySQL or MariaDB',
  mariadbd: 'MySQL or MariaDB',
  mongod: 'MongoDB',
  'redis-server': 'Redis',
  'valkey-server': 'Redis',
};
const folderKinds: Readonly<Record<string, ServerKind>> = {
  PostgreSQL: 'PostgreSQL',
  MySQL: 'MySQL or MariaDB',
  MongoDB: 'MongoDB',
  Redis: 'Redis',
};

/** `hasEngine`: what runs in containers is told by their engine. */
export function parseLook(text: string, hasEngine: boolean): Looked {
  const lines = text.split('\n').map((line) => line.split(' '));
  const of = (sign: string): string[][] => lines.filter(([first]) => first === sign).map(([, ...words]) => words);
  const files = of('F').map(([size, ...path]) => ({ path: path.join(' '), sizeBytes: Number(size) || 0 }));
  const running = runningServers(of, hasEngine);
  const known = new Set(running.map(({ kind }) => kind));
  const folders = of('D').flatMap(([word, ...path]): SeenServer[] => {
    const kind = folderKinds[word];
    return kind === undefined || known.has(kind) ? [] : [{ kind, ports: [], directory: path.join(' ') }];
  });
  return {
    files,
    servers: [...running, ...folders],
    isComplete: of('E').length > 0 && files.length < mostFiles,
  };
}

function runningServers(of: (sign: string) => string[][], hasEngine: boolean): SeenServer[] {
  const processes = of('P');
  const ids = new Set(processes.map(([id]) => id));
  const spaces = new Map(of('N').map(([id, space]) => [id, space]));
  // Workers of a server are children of it, and have its name.
  const mains = processes.filter(([, parent]) => !ids.has(parent));
  const here = mains.filter(([id]) => !hasEngine || !spaces.get(id) || spaces.get(id) === spaces.get('self'));
  return here.map(([id, , name]) => ({ kind: kinds[name], ports: portsOf(id, of) }));
}

/** Of /proc/net/tcp: `0: 0100007F:1538 00000000:0000 0A … inode …`; see proc(5). */
function portsOf(process: string, of: (sign: string) => string[][]): number[] {
  const sockets = new Set(
    of('S')
      .filter(([id]) => id === process)
      .map(([, inode]) => inode),
  );
  const ports = of('L').flatMap(([id, ...line]) => {
    const fields = line.join(' ').trim().split(/\s+/);
    const isOwn = id === process && sockets.has(fields[9]);
    return isOwn ? [Number.parseInt(fields[1].split(':')[1], 16)] : [];
  });
  return [...new Set(ports)].sort((a, b) => a - b);
}
