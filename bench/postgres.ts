/**
 * A shop's database backed up, and again after a few thousand rows changed: Holdfast (with its three kinds of fingerprint)
 * beside `pg_dump -Fc` as it is by default and at its best ratio, and `pg_dump | restic`. Alternating rounds in one run.
 *
 *   node bench/postgres.ts [--scale 1.35] [--rounds 3] [--release 15] [--place DIR] [--only holdfast,restic]
 *
 * Scale 1 is a database of 1.2 GB. Prints medians: wall, CPU of the programs on this side, CPU of the server, bytes stored.
 * Every round begins with empty repositories. `pg_dump` at its best ratio runs in the first round only.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { stringify } from 'yaml';
import { clientPrograms, type PostgresRelease, type PostgresServer, startPostgres } from '../test/servers/postgres.ts';
import { setup as putResticOnPath } from '../test/servers/restic.ts';
import { measure, median } from './measure.ts';
import { seedShop, workInShop } from './postgres-shop.ts';

const { values } = parseArgs({
  options: {
    scale: { type: 'string', default: '1.35' },
    rounds: { type: 'string', default: '3' },
    release: { type: 'string', default: '15' },
    place: { type: 'string', default: tmpdir() },
    only: { type: 'string' },
  },
});
await putResticOnPath();
const release = Number(values.release) as PostgresRelease;
const holdfast = fileURLToPath(new URL('../bin/holdfast', import.meta.url));
const restic = 'restic-new';
const database = 'shop';

interface Way {
  readonly name: string;
  /** Makes what it needs in an empty folder. */
  readonly prepare?: (folder: string) => Promise<unknown>;
  readonly command: (folder: string, run: string) => readonly string[];
  readonly rounds?: number;
}
interface Result {
  readonly wallS: number;
  readonly cpuS: number;
  readonly serverCpuS: number;
  readonly bytes: number;
}
type Results = Map<string, Result[]>;

const env = { RESTIC_PASSWORD: 'bench', HOLDFAST_BENCH: 'bench' };
const place = mkdtempSync(join(values.place, 'holdfast-bench-'));
const server = await startPostgres({
  release,
  options: { shared_buffers: '512MB', autovacuum: 'off', max_wal_size: '8GB' },
});
try {
  await seedShop(server, database, Number(values.scale));
  const [[size]] = await server.run(database, 'SELECT pg_size_pretty(pg_database_size(current_database()))');
  console.log(`a database of ${size}, PostgreSQL ${release}, ${values.rounds} rounds`);
  const all = waysOf(server, await clientPrograms(release));
  const ways = all.filter(({ name }) => values.only?.split(',').some((one) => name.includes(one)) ?? true);
  const results: Results = new Map();
  for (let round = 1; round <= Number(values.rounds); round++) await runRound(ways, round, results);
  report(ways, results);
} finally {
  await server[Symbol.asyncDispose]();
  rmSync(place, { recursive: true, force: true });
}

function waysOf({ folder: socket, port, url }: PostgresServer, bin: string): Way[] {
  const dump = `${join(bin, 'pg_dump')} -h ${socket} -p ${port} -U postgres -Fc`;
  const shell = (line: string): readonly string[] => ['bash', '-c', `set -o pipefail; ${line}`];
  const best = release >= 16 ? '-Z zstd:12' : '-Z9';
  const ours = (name: string, settings: Record<string, unknown>): Way => ({
    name,
    prepare: async (folder) => {
      const sources = {
        bench: {
          ...{ driver: 'postgres', url: url.call(server, database), repository: 'bench' },
          ...{ binDirectory: bin, ...settings },
        },
      };
      const repositories = { bench: { url: join(folder, 'data'), password: { env: 'HOLDFAST_BENCH' } } };
      writeFileSync(join(folder, 'holdfast.yaml'), stringify({ repositories, sources }));
      await measure([holdfast, '--config', join(folder, 'holdfast.yaml'), 'repo', 'init', 'bench'], env);
    },
    command: (folder) => [holdfast, '--config', join(folder, 'holdfast.yaml'), 'backup', 'bench'],
  });
  return [
    {
      name: 'pg_dump -Fc',
      prepare: async (folder) => mkdirSync(join(folder, 'data')),
      command: (folder, run) => shell(`${dump} -f ${folder}/data/${run}.dump ${database}`),
    },
    {
      name: `pg_dump -Fc ${best}`,
      prepare: async (folder) => mkdirSync(join(folder, 'data')),
      command: (folder, run) => shell(`${dump} ${best} -f ${folder}/data/${run}.dump ${database}`),
      rounds: 1,
    },
    {
      name: 'pg_dump | restic',
      prepare: (folder) => measure([restic, '-r', join(folder, 'data'), 'init', '-q'], env),
      command: (folder) =>
        shell(`${dump} -Z0 ${database} | ${restic} -r ${folder}/data backup -q --stdin --stdin-filename shop.dump`),
    },
    ours('holdfast', {}),
    ours('holdfast, counts', { fingerprint: 'counts' }),
    ours('holdfast, off', { fingerprint: 'off' }),
  ];
}

async function runRound(ways: readonly Way[], round: number, results: Results): Promise<void> {
  const taking = ways.filter(({ rounds = Number.POSITIVE_INFINITY }) => round <= rounds);
  // Who comes first finds a cold cache: another one each round.
  const order = taking.map((_, i) => taking[(i + round) % taking.length]);
  const folders = new Map(order.map(({ name }) => [name, mkdtempSync(join(place, 'way-'))]));
  for (const { name, prepare } of order) await prepare?.(folders.get(name)!);
  for (const run of ['first', 'second']) {
    for (const { name, command } of order) {
      const folder = folders.get(name)!;
      const before = sizeOf(join(folder, 'data'));
      const serverBefore = serverCpuS();
      const { wallS, cpuS } = await measure(command(folder, run), env);
      // Backends count when they have ended, a moment after their clients.
      await setTimeout(1000);
      const result = {
        wallS,
        cpuS,
        serverCpuS: serverCpuS() - serverBefore,
        bytes: sizeOf(join(folder, 'data')) - before,
      };
      const key = `${run} ${name}`;
      results.set(key, [...(results.get(key) ?? []), result]);
      console.log(`  round ${round} ${key}: ${wallS.toFixed(1)} s, ${(result.bytes / 2 ** 20).toFixed(1)} MiB`);
    }
    if (run === 'first') console.log(`  round ${round}: ${await workInShop(server, database, round)} rows changed`);
  }
  for (const folder of folders.values()) rmSync(folder, { recursive: true, force: true });
}

/** Ratios are those of medians, to plain `pg_dump -Fc` of the same run. */
function report(ways: readonly Way[], results: Results): void {
  for (const run of ['first', 'second']) {
    const middle = (name: string, key: keyof Result): number =>
      median((results.get(`${run} ${name}`) ?? []).map((one) => one[key]));
    const cell = (name: string, key: keyof Result, scale: number): string =>
      `${(middle(name, key) / scale).toFixed(1).padStart(7)} (${(middle(name, key) / middle(ways[0].name, key)).toFixed(3)}x)`;
    console.log(`\n${run} run${' '.repeat(13)}wall s            CPU s             server CPU s      stored MiB`);
    for (const { name } of ways)
      console.log(
        `${name.padEnd(22)}${cell(name, 'wallS', 1)}  ${cell(name, 'cpuS', 1)}  ${cell(name, 'serverCpuS', 1)}  ${cell(name, 'bytes', 2 ** 20)}`,
      );
  }
}

/** Of the postmaster's ended children: proc(5), cutime and cstime, in ticks of 10 ms. */
function serverCpuS(): number {
  const fields = readFileSync(`/proc/${server.pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[13]) + Number(fields[14])) / 100;
}

function sizeOf(path: string): number {
  const facts = statSync(path);
  return facts.isDirectory() ? readdirSync(path).reduce((sum, name) => sum + sizeOf(join(path, name)), 0) : facts.size;
}
