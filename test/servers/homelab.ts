/**
 * The homelab of `examples/homelab/`, for real: a machine of its own for each host (an sshd on loopback), the database servers,
 * and services that write to their SQLite databases. The configuration is the example's, with addresses and paths put in.
 *
 *   node test/servers/homelab.ts        starts it, prints the commands to try, and ends it with Ctrl-C
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse, stringify } from 'yaml';
import { seedBank } from '../../src/drivers/sqlite/fixture.ts';
import { startWriter } from '../../src/drivers/sqlite/fixture-run.ts';
import { startMariadb } from './mariadb.ts';
import { startPostgres } from './postgres.ts';
import { startSshd } from './sshd.ts';

interface Entry {
  readonly driver: string;
  readonly url?: string;
  readonly path?: string;
  readonly databases?: readonly string[];
  [key: string]: unknown;
}

interface Example {
  readonly repositories: Record<string, { url: string; password: unknown }>;
  readonly hosts: Record<string, Record<string, unknown>>;
  readonly sources: Record<string, Entry>;
  [section: string]: unknown;
}

export interface Homelab extends AsyncDisposable {
  readonly folder: string;
  readonly configFile: string;
  /** Names of the sources. */
  readonly sources: readonly string[];
}

const exampleFile = new URL('../../examples/homelab/holdfast.yaml', import.meta.url);

export async function startHomelab(): Promise<Homelab> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-homelab-'));
  const running = new AsyncDisposableStack();
  running.defer(() => rmSync(folder, { recursive: true, force: true }));
  try {
    const example = parse(readFileSync(exampleFile, 'utf8'), { merge: true }) as Example;
    const { 'x-ssh': _, ...config } = example;
    const secret = (name: string, text: string): { file: string } => {
      writeFileSync(join(folder, name), text, { mode: 0o600 });
      return { file: join(folder, name) };
    };
    config.repositories.nas = { url: join(folder, 'nas'), password: secret('password', 'a homelab') };
    for (const name of Object.keys(config.hosts)) {
      const machine = running.use(await startSshd());
      config.hosts[name] = { ssh: machine.address, key: { file: machine.key }, knownHosts: machine.knownHosts };
    }
    for (const [name, source] of Object.entries(config.sources)) {
      if (source.driver === 'sqlite') await startService(source, folder, running);
      else {
        const { url, password } = await startServer(source, running);
        Object.assign(source, { url, password: secret(`${name}.password`, password) });
      }
    }
    const configFile = join(folder, 'holdfast.yaml');
    writeFileSync(configFile, stringify(config));
    return {
      ...{ folder, configFile, sources: Object.keys(config.sources) },
      [Symbol.asyncDispose]: () => running.disposeAsync(),
    };
  } catch (error) {
    await running.disposeAsync();
    throw error;
  }
}

/** A database at the source's path below `folder`, and somebody who writes to it. */
async function startService(source: Entry, folder: string, running: AsyncDisposableStack): Promise<void> {
  const path = join(folder, 'srv', source.path!);
  mkdirSync(dirname(path), { recursive: true });
  seedBank({ path, accounts: 50, blobs: 50 });
  const writer = await startWriter({ path, perSecond: 5 });
  running.defer(() => writer.crash());
  Object.assign(source, { path });
}

interface Reached {
  /** As its host sees it. */
  readonly url: string;
  readonly password: string;
}

/** A server with the databases the source names, and its address as the host sees it. */
async function startServer({ driver, url, databases }: Entry, running: AsyncDisposableStack): Promise<Reached> {
  const address = new URL(url!);
  if (driver === 'postgres') {
    const server = running.use(await startPostgres());
    const [user, database, password] = [address.username, address.pathname.slice(1), 'a homelab'];
    await server.run('postgres', `CREATE ROLE ${user} SUPERUSER LOGIN PASSWORD '${password}'`);
    await server.run('postgres', `CREATE DATABASE ${database} OWNER ${user}`);
    await server.run(
      database,
      "CREATE TABLE document AS SELECT i AS id, repeat('page ', 50) AS text FROM generate_series(1, 2000) i",
    );
    return { url: `postgres://${user}@127.0.0.1:${server.port}/${database}`, password };
  }
  const server = running.use(await startMariadb());
  for (const name of databases ?? []) {
    await server.run(
      `CREATE DATABASE ${name}`,
      `USE ${name}`,
      `CREATE TABLE game (id INT PRIMARY KEY, title VARCHAR(80))`,
      `INSERT INTO game SELECT seq, CONCAT('game ', seq) FROM seq_1_to_2000`,
    );
  }
  return { url: `mariadb://root@127.0.0.1:${server.port}`, password: server.password };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { configFile, sources } = await startHomelab();
  const holdfast = `bin/holdfast --config ${configFile}`;
  console.log(`${sources.length} sources are up. In another terminal:\n  ${holdfast} repo init nas`);
  console.log(`  ${holdfast} backup --all && ${holdfast} drill --all && ${holdfast} status`);
  setInterval(() => {}, 1 << 30);
}
