/** PostgreSQL's client programs: which version, on which machine. */
import { HoldfastError, hasCode } from '../../base/errors.ts';
import type { Host } from '../../hosts/host.ts';
import type { Source } from './place.ts';
import { newestMajor, oldestMajor } from './session.ts';

/** Programs of one version in one place. */
export interface Programs {
  readonly host: Host;
  /** Empty: found through PATH. */
  readonly directory: string;
  readonly major: number;
  /** As `pg_dump --version` says: `15.18 (Debian 15.18-0+deb12u1)`. */
  readonly version: string;
}

export interface Wanted {
  /** The program that is asked for its version. */
  readonly program: 'pg_dump' | 'postgres';
  /** Of the server or the dump: older programs cannot read it. */
  readonly atLeast: number;
  /** The version that suits best. */
  readonly prefer: number;
}

export function programIn({ directory }: Pick<Programs, 'directory'>, name: string): string {
  return directory === '' ? name : `${directory}/${name}`;
}

/** Here or on the source's host, as `client` says. `host.command-missing` with what to install. */
export async function findClient(source: Source, wanted: Omit<Wanted, 'program'>): Promise<Programs> {
  const { client } = source.settings;
  const hosts = client === 'local' ? [source.local] : client === 'host' ? [source.host] : [source.local, source.host];
  const seen: Programs[] = [];
  for (const host of new Set(hosts)) {
    const found = await findPrograms(host, source, { ...wanted, program: 'pg_dump' });
    if (found.best) return found.best;
    seen.push(...found.all);
  }
  throw missing(source, wanted.atLeast, seen);
}

/** Equal to `prefer` first, else the one next to it; `undefined` if none suits. */
export async function findPrograms(
  host: Host,
  { settings, signal }: Pick<Source, 'settings' | 'signal'>,
  { program, atLeast, prefer }: Wanted,
): Promise<{ best: Programs | undefined; all: Programs[] }> {
  const majors = [prefer, ...Array.from({ length: newestMajor - oldestMajor + 2 }, (_, i) => newestMajor + 1 - i)];
  const usual = majors
    .filter((one) => one >= atLeast)
    .flatMap((one) => [`/usr/lib/postgresql/${one}/bin`, `/usr/pgsql-${one}/bin`]);
  const all: Programs[] = [];
  for (const directory of new Set([...(settings.binDirectory ?? []), '', ...usual])) {
    const version = await versionOf(host, programIn({ directory }, program), signal);
    if (version === undefined) continue;
    all.push({ host, directory, version, major: Number.parseInt(version, 10) });
    if (Number.parseInt(version, 10) === prefer) break;
  }
  const distance = ({ major }: Programs): number => Math.abs(major - prefer);
  const best = all.filter(({ major }) => major >= atLeast).toSorted((a, b) => distance(a) - distance(b))[0];
  return { best, all };
}

/** `undefined` if there is no such program. */
async function versionOf(host: Host, program: string, signal: AbortSignal): Promise<string | undefined> {
  try {
    const { status, stdout } = await output(host, [program, '--version'], signal);
    return status === 0 ? /\(PostgreSQL\) (\d+\S*.*)/.exec(stdout)?.[1] : undefined;
  } catch (error) {
    if (hasCode(error, 'host.command-missing', 'host.command-failed')) return undefined;
    throw error;
  }
}

/** Runs a program that says little. */
export async function output(
  host: Host,
  argv: readonly string[],
  signal: AbortSignal,
  more: { cwd?: string; env?: Readonly<Record<string, string>> } = {},
): Promise<{ status: number | null; stdout: string; stderr: string }> {
  const process = await host.run({ argv, signal, ...more });
  await process.endInput();
  const parts: Uint8Array[] = [];
  for await (const part of process.stdout) parts.push(Uint8Array.from(part));
  const { status, stderr } = await process.exit;
  return { status, stdout: Buffer.concat(parts).toString('utf8'), stderr };
}

function missing(source: Source, major: number, seen: readonly Programs[]): HoldfastError {
  const { client } = source.settings;
  const where =
    client === 'local'
      ? 'on this machine'
      : client === 'host'
        ? `on ${source.host.name}`
        : `on this machine or on ${source.host.name}`;
  const have = [...new Set(seen.map((one) => `${one.version} on ${one.host.name}`))].join(', ');
  return new HoldfastError({
    code: 'host.command-missing',
    message: `there is no pg_dump of PostgreSQL ${major} or newer ${where}${have === '' ? '' : ` (found ${have})`}`,
    remedy: `Install it: apt install postgresql-client-${major} (from apt.postgresql.org if your release has only older ones), or name its directory under «binDirectory».`,
  });
}
