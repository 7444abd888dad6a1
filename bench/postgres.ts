/**
 * A PostgreSQL database backed up twice, the second time after some changes: Holdfast, `pg_dump -Fc`, and `pg_dump | restic`.
 *
 *   node bench/postgres.ts [megabytes]        1600 by default; a third of it text that compresses, on a server of its own
 *
 * Prints wall time, CPU time of client programs, and bytes stored, also as ratios to `pg_dump -Fc`.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { startPostgres } from '../test/servers/postgres.ts';

const megabytes = Number(process.argv[2] ?? 1600);
const holdfast = fileURLToPath(new URL('../bin/holdfast', import.meta.url));
const server = await startPostgres();
const folder = mkdtempSync(join(tmpdir(), 'holdfast-bench-'));
try {
  await seed();
  const env = {
    ...process.env,
    RESTIC_PASSWORD: 'bench',
    RESTIC_REPOSITORY: join(folder, 'restic'),
    HOLDFAST_BENCH: 'bench',
  };
  const dump = `pg_dump -h ${server.folder} -p ${server.port} -U postgres`;
  const config = join(folder, 'holdfast.yaml');
  const repository = join(folder, 'holdfast');
  writeFileSync(
    config,
    stringify({
      repositories: { bench: { url: repository, password: { env: 'HOLDFAST_BENCH' } } },
      sources: { bench: { driver: 'postgres', url: server.url('bench'), repository: 'bench' } },
    }),
  );
  await measured('restic init', 'restic init -q', env);
  await measured('holdfast init', `${holdfast} --config ${config} repo init bench`, env);
  const ways = [
    {
      name: 'pg_dump -Fc',
      command: `${dump} -Fc -f ${folder}/RUN.dump bench`,
      stored: (run: number) => sizeOf(join(folder, `${run}.dump`)),
    },
    {
      name: 'pg_dump -Fc -Z9',
      command: `${dump} -Fc -Z9 -f ${folder}/best-RUN.dump bench`,
      stored: (run: number) => sizeOf(join(folder, `best-${run}.dump`)),
    },
    {
      name: 'pg_dump | restic',
      command: `${dump} -Fc -Z0 bench | restic backup -q --stdin --stdin-filename bench.dump`,
      stored: () => sizeOf(join(folder, 'restic')),
    },
    { name: 'holdfast', command: `${holdfast} --config ${config} backup bench`, stored: () => sizeOf(repository) },
  ];
  const before = new Map<string, number>();
  for (const run of [1, 2]) {
    let reference: { wall: number; cpu: number; bytes: number } | undefined;
    for (const { name, command, stored } of ways) {
      const times = await measured(name, command.replaceAll('RUN', String(run)), env);
      const total = stored(run);
      const bytes = name.startsWith('pg_dump -') ? total : total - (before.get(name) ?? 0);
      before.set(name, total);
      reference ??= { ...times, bytes };
      const ratio = (value: number, other: number): string => `${(value / other).toFixed(2)}x`;
      console.log(
        `run ${run}  ${name.padEnd(17)} wall ${times.wall.toFixed(1)} s (${ratio(times.wall, reference.wall)})  cpu ${times.cpu.toFixed(1)} s (${ratio(times.cpu, reference.cpu)})  stored ${(bytes / 2 ** 20).toFixed(1)} MiB (${ratio(bytes, reference.bytes)})`,
      );
    }
    await server.run('bench', "UPDATE event SET payload = 'changed' WHERE id % 5000 = 0");
  }
} finally {
  await server[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
}

async function seed(): Promise<void> {
  const rows = Math.round((megabytes * 2 ** 20) / 260);
  await server.run('postgres', 'CREATE DATABASE bench');
  await server.run('bench', 'CREATE TABLE event (id bigint PRIMARY KEY, at timestamptz, kind text, payload text)');
  for (let from = 1; from <= rows; from += 500_000) {
    await server.run(
      'bench',
      `INSERT INTO event SELECT i, '2026-01-01'::timestamptz + i * interval '1 second', 'kind ' || i % 20, md5(i::text) || md5((i * 3)::text) || repeat('page ', 16)
       FROM generate_series(${from}, ${Math.min(rows, from + 499_999)}) i`,
    );
  }
}

/** Wall and CPU seconds, those of children included. */
async function measured(name: string, command: string, env: NodeJS.ProcessEnv): Promise<{ wall: number; cpu: number }> {
  const timed = `set -o pipefail; TIMEFORMAT='%R %U %S'; time { ${command} >${folder}/said 2>&1; }`;
  const child = spawn('bash', ['-c', timed], { env, stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  const [status] = (await once(child, 'close')) as [number];
  if (status !== 0)
    throw new Error(`${name} ended with status ${status}: ${readFileSync(join(folder, 'said'), 'utf8')}`);
  const [wall, user, system] = said.trim().split('\n').at(-1)!.split(' ').map(Number);
  return { wall, cpu: user + system };
}

function sizeOf(path: string): number {
  const facts = statSync(path);
  return facts.isDirectory() ? readdirSync(path).reduce((sum, name) => sum + sizeOf(join(path, name)), 0) : facts.size;
}
