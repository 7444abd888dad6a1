/**
 * A MariaDB backed up by Holdfast, and by `mariadb-dump --single-transaction | zstd -3` into a file: at first, and again after a
 * few rows have changed. Both run as programs, over the server's Unix socket, in turns. Prints the medians of all rounds: wall
 * time, CPU time of this side and of the server, bytes stored; each with its ratio to the other's.
 * usage: node bench/mariadb.ts [MEGABYTES=1600] [ROUNDS=3]     needs mariadb-server, mariadb-client, zstd
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { type DatabaseServer, rootPassword, startMariadb } from '../test/servers/mariadb.ts';
import { median } from './measure.ts';

const megabytes = Number(process.argv[2] ?? 1600);
const rounds = Number(process.argv[3] ?? 3);
const holdfast = fileURLToPath(new URL('../bin/holdfast', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'holdfast-bench-'));

interface Measured {
  readonly 'wall s': number;
  readonly 'client CPU s': number;
  readonly 'server CPU s': number;
  readonly 'stored MiB': number;
}

type Way = (round: number, run: string) => Promise<Measured>;

async function main(): Promise<void> {
  for (const program of ['mariadb-dump', 'zstd']) {
    if (spawnSync(program, ['--version']).error)
      throw new Error(`${program} is not installed, see the head of this file`);
  }
  await using server = await startMariadb({
    arguments: ['--innodb-buffer-pool-size=2G', '--innodb-log-file-size=512M', '--skip-log-bin'],
  });
  await seed(server);
  const ways: readonly (readonly [string, Way])[] = [
    ['holdfast', ours(server)],
    ['mariadb-dump | zstd', theirs(server)],
  ];
  const found = new Map<string, Measured[]>();
  for (let round = 0; round < rounds; round++) {
    for (const run of ['first', 'second']) {
      for (const [name, way] of round % 2 === 0 ? ways : ways.toReversed()) {
        const measured = await way(round, run);
        console.log(`round ${round + 1}, ${run} run, ${name}: ${JSON.stringify(measured)}`);
        found.set(`${run} ${name}`, [...(found.get(`${run} ${name}`) ?? []), measured]);
      }
      await change(server);
    }
  }
  for (const run of ['first', 'second'])
    print(run, found.get(`${run} ${ways[0][0]}`)!, found.get(`${run} ${ways[1][0]}`)!);
}

/** Tables of several kinds, in all about as long as SQL as was asked for. */
async function seed(server: DatabaseServer): Promise<void> {
  const unit = Math.round((megabytes / 1600) * 1000);
  const words = "ELT(1 + seq % 7, 'ordered', 'paid', 'packed', 'sent', 'delivered', 'returned', 'forgotten')";
  await server.run(
    'CREATE DATABASE bench CHARACTER SET utf8mb4',
    'USE bench',
    `CREATE TABLE customer (id INT PRIMARY KEY, name VARCHAR(80), mail VARCHAR(80), since DATE, credit DECIMAL(10,2), note TEXT, KEY (mail))`,
    `INSERT INTO customer SELECT seq, CONCAT('Zoë O''Customer ', seq), CONCAT('user', seq * 7, '@example.org'), '2020-01-01' + INTERVAL seq % 2000 DAY,
       seq % 9973 / 7, CONCAT('what was ', ${words}, ' by ', MD5(seq), '\nis «', ${words}, '» again') FROM seq_1_to_${900 * unit}`,
    `CREATE TABLE item (id BIGINT PRIMARY KEY, customer INT, product INT, amount SMALLINT, price DECIMAL(12,4), tax DOUBLE, made DATETIME(3), paid TIMESTAMP NULL, state VARCHAR(12))`,
    `INSERT INTO item SELECT seq, seq * 31 % 900000, seq * 7919 % 50000, seq % 9, seq * 17 % 99991 / 13, seq % 1009 / 11, '2026-01-01' + INTERVAL seq SECOND,
       IF(seq % 3 = 0, NULL, '2026-01-02' + INTERVAL seq SECOND), ${words} FROM seq_1_to_${4000 * unit}`,
    'CREATE TABLE event (id BIGINT PRIMARY KEY, at DATETIME, body JSON)',
    `INSERT INTO event SELECT seq, '2026-01-01' + INTERVAL seq SECOND, JSON_OBJECT('kind', ${words}, 'customer', seq * 31 % 900000, 'trace', SHA2(seq, 256),
       'path', CONCAT('/orders/', seq % 5000, '/lines'), 'tags', JSON_ARRAY('a', 'b', seq % 10), 'text', REPEAT(CONCAT(${words}, ' '), 8)) FROM seq_1_to_${1400 * unit}`,
    'CREATE TABLE picture (id INT PRIMARY KEY, name VARCHAR(40), bytes MEDIUMBLOB)',
    `INSERT INTO picture SELECT seq, CONCAT('picture ', seq, '.jpg'), REPEAT(UNHEX(CONCAT(SHA2(seq, 512), SHA2(seq + 0.5, 512), SHA2(seq * 3, 512))), 40) FROM seq_1_to_${20 * unit}`,
    `CREATE TABLE document (id INT PRIMARY KEY, title VARCHAR(100), html MEDIUMTEXT)`,
    `INSERT INTO document SELECT seq, CONCAT('document ', seq), REPEAT(CONCAT('<p class="x">', SHA2(seq, 256), ' it''s ', ${words}, '</p>\n'), 30) FROM seq_1_to_${100 * unit}`,
  );
}

/** A hundred rows beside each other, and a new one at the end. */
async function change(server: DatabaseServer): Promise<void> {
  await server.run(
    'UPDATE bench.item SET price = price + 1 WHERE id BETWEEN 200000 AND 200100',
    "UPDATE bench.customer SET credit = credit + 1, note = 'changed' WHERE id BETWEEN 5000 AND 5100",
    "INSERT INTO bench.event SELECT MAX(id) + 1, '2027-01-01', '{}' FROM bench.event",
  );
}

function ours(server: DatabaseServer): Way {
  const env = { HOLDFAST_BENCH: 'bench', HOLDFAST_BENCH_DATABASE: rootPassword };
  return async (round, run) => {
    const repository = join(folder, `repository-${round}`);
    const config = join(folder, `holdfast-${round}.yaml`);
    const source = {
      ...{ driver: 'mariadb', url: 'mariadb://root@localhost/bench', socket: server.socket, users: false },
      ...{ password: { env: 'HOLDFAST_BENCH_DATABASE' }, repository: 'bench' },
    };
    const repositories = { bench: { url: repository, password: { env: 'HOLDFAST_BENCH' } } };
    writeFileSync(config, stringify({ repositories, sources: { bench: source } }));
    if (run === 'first') {
      rmSync(join(folder, `repository-${round - 1}`), { recursive: true, force: true });
      await timed(server, `${holdfast} --config ${config} repo init bench`, env);
    }
    const before = sizeOf(repository);
    const times = await timed(server, `${holdfast} --config ${config} backup bench`, env);
    return { ...times, 'stored MiB': (sizeOf(repository) - before) / 2 ** 20 };
  };
}

function theirs(server: DatabaseServer): Way {
  const file = join(folder, 'dump.sql.zst');
  const program = 'mariadb-dump --no-defaults --single-transaction --quick --routines --events --triggers --hex-blob';
  const command = `${program} -S ${server.socket} -uroot --databases bench | zstd -q -f -3 -o ${file}`;
  return async () => ({
    ...(await timed(server, command, { MYSQL_PWD: rootPassword })),
    'stored MiB': sizeOf(file) / 2 ** 20,
  });
}

type Times = Omit<Measured, 'stored MiB'>;

/** Runs a command line; CPU time is that of all it started, and of the server meanwhile. */
async function timed(server: DatabaseServer, command: string, env: Record<string, string>): Promise<Times> {
  const script = `set -o pipefail; TIMEFORMAT='%R %U %S'; time { ${command} >${folder}/said 2>&1; }`;
  const before = serverCpuS(server);
  const child = spawn('bash', ['-c', script], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  const [status] = (await once(child, 'close')) as [number];
  if (status !== 0)
    throw new Error(`${command} ended with status ${status}: ${readFileSync(join(folder, 'said'), 'utf8')}`);
  const [wall, user, system] = said.trim().split('\n').at(-1)!.split(' ').map(Number);
  return { 'wall s': wall, 'client CPU s': user + system, 'server CPU s': serverCpuS(server) - before };
}

/** User and system time of the server, in clock ticks of 10 ms. */
function serverCpuS(server: DatabaseServer): number {
  const pid = readFileSync(join(server.folder, 'pid'), 'utf8').trim();
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

function sizeOf(path: string): number {
  const facts = statSync(path);
  return facts.isDirectory() ? readdirSync(path).reduce((sum, name) => sum + sizeOf(join(path, name)), 0) : facts.size;
}

function print(run: string, ours: readonly Measured[], theirs: readonly Measured[]): void {
  const parts = (Object.keys(ours[0]) as (keyof Measured)[]).map((key) => {
    const [mine, other] = [ours, theirs].map((all) => median(all.map((one) => one[key])));
    return `${key} ${mine.toFixed(1)} / ${other.toFixed(1)} = ${(mine / other).toFixed(2)}x`;
  });
  console.log(`${run} run, medians: ${parts.join(' · ')}`);
}

try {
  await main();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
