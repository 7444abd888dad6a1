/**
 * A MariaDB backed up by Holdfast, and by `mariadb-dump --single-transaction | zstd -3` into a file, twice: at first, and after
 * one row in a thousand has changed. Prints wall time, CPU time of this side, and bytes stored, as ratios to the other.
 * usage: node bench/mariadb.ts [ROWS=1000000]     needs mariadb-server, mariadb-client, zstd
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../src/base/clock.ts';
import { Secret } from '../src/base/secrets.ts';
import { unattended } from '../src/drivers/conformance/context.ts';
import { mariadb } from '../src/drivers/mysql/index.ts';
import { settings } from '../src/drivers/mysql/settings.ts';
import { localHost } from '../src/hosts/local/index.ts';
import { openDriverBench } from '../src/operations/driver-bench.ts';
import { storageKinds } from '../src/storage/registry.ts';
import { type DatabaseServer, rootPassword, startMariadb } from '../test/servers/mariadb.ts';

const rows = Number(process.argv[2] ?? 1_000_000);
const folder = mkdtempSync(join(tmpdir(), 'holdfast-bench-'));

interface Measured {
  readonly wallMs: number;
  readonly cpuMs: number;
  readonly storedBytes: number;
}

async function main(): Promise<void> {
  await using server = await startMariadb({ arguments: ['--innodb-buffer-pool-size=1G'] });
  await seed(server);
  const host = localHost();
  const password = { from: 'clear', secret: new Secret(rootPassword) };
  const url = `mariadb://root@127.0.0.1:${server.port}`;
  const source = unattended({
    name: 'bench',
    host,
    local: host,
    settings: settings.parse({ url, password, users: false }),
  });
  await using bench = await openDriverBench({ driver: mariadb, storageKinds, clock: systemClock });
  dump(server, 'warm');
  for (const round of ['first', 'second']) {
    const theirs = dump(server, round);
    const ours = await measure(async () => (await bench.backUp(source)).addedBytes);
    print(round, ours, theirs);
    await server.run(
      'UPDATE bench.t SET price = price + 1 WHERE id % 1000 = 1 AND id < (SELECT MAX(id) / 4 FROM bench.t)',
    );
  }
}

async function seed(server: DatabaseServer): Promise<void> {
  await server.run(
    'CREATE DATABASE bench CHARACTER SET utf8mb4',
    'USE bench',
    `CREATE TABLE bench.t (id INT PRIMARY KEY, name VARCHAR(80), mail VARCHAR(80), price DECIMAL(10,2), made DATETIME, note TEXT, hash VARBINARY(32))`,
    `INSERT INTO bench.t SELECT seq, CONCAT('customer number ', seq), CONCAT('user', seq * 7, '@example.org'), seq % 9973 / 7, '2026-01-01' + INTERVAL seq SECOND,
       CONCAT('a note about order ', seq, ', which is ', ELT(1 + seq % 4, 'new', 'paid', 'sent', 'back')), UNHEX(SHA2(seq, 256)) FROM seq_1_to_${rows}`,
  );
}

async function measure(run: () => Promise<number>): Promise<Measured> {
  const cpu = process.cpuUsage();
  const startedMs = performance.now();
  const storedBytes = await run();
  const used = process.cpuUsage(cpu);
  return { wallMs: performance.now() - startedMs, cpuMs: (used.user + used.system) / 1000, storedBytes };
}

/** CPU time is that of the dump program and of zstd, as the shell's `times` says. */
function dump(server: DatabaseServer, round: string): Measured {
  const file = join(folder, `${round}.sql.zst`);
  const startedMs = performance.now();
  const program = 'mariadb-dump --no-defaults --single-transaction --quick --routines --events --triggers --hex-blob';
  const script = `set -e; ${program} -S ${server.socket} -uroot --databases bench | zstd -q -3 > ${file}; times`;
  const said = execFileSync('bash', ['-c', script], {
    env: { ...process.env, MYSQL_PWD: rootPassword },
    encoding: 'utf8',
  });
  const wallMs = performance.now() - startedMs;
  const [, children] = said.trim().split('\n');
  const cpuMs = [...children.matchAll(/(\d+)m([\d.]+)s/g)].reduce(
    (sum, [, m, s]) => sum + (Number(m) * 60 + Number(s)) * 1000,
    0,
  );
  return { wallMs, cpuMs, storedBytes: statSync(file).size };
}

function print(round: string, ours: Measured, theirs: Measured): void {
  const ratio = (key: keyof Measured): string =>
    `${Math.round(ours[key])} / ${Math.round(theirs[key])} = ${(ours[key] / theirs[key]).toFixed(2)}`;
  console.log(
    `${round} run: wall ms ${ratio('wallMs')} · CPU ms ${ratio('cpuMs')} · bytes stored ${ratio('storedBytes')}`,
  );
}

try {
  await main();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
