/**
 * The homelab of `examples/homelab/`, for real: a machine of its own for each host (an sshd on loopback), the database servers,
 * and services that write to their SQLite databases. The configuration is the example's, with addresses and paths put in.
 *
 *   node test/servers/homelab.ts        starts it, prints the commands to try, and ends it with Ctrl-C
 */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
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
  readonly paths?: readonly string[];
  readonly shell?: string;
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
    const { 'x-ssh': _ssh, 'x-places': _places, notifications: _channels, ...config } = example;
    const secret = (name: string, text: string): { file: string } => {
      writeFileSync(join(folder, name), text, { mode: 0o600 });
      return { file: join(folder, name) };
    };
    const password = secret('password', 'a homelab');
    for (const [name, repository] of Object.entries(config.repositories)) {
      // Everything is on one disk here: nothing of it can be away.
      Object.assign(repository, { url: join(folder, name), password, mayBeAway: undefined });
    }
    for (const name of Object.keys(config.hosts)) {
      const machine = running.use(await startSshd());
      config.hosts[name] = { ssh: machine.address, key: { file: machine.key }, knownHosts: machine.knownHosts };
    }
    for (const [name, source] of Object.entries(config.sources)) {
      if (source.driver === 'sqlite') await startService(source, folder, running);
      else if (source.driver === 'files') writeFiles(source, folder);
      else if (source.driver === 'command') await startVault(source, folder, running);
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

/** Each of the source's directories below `folder`, with some files. */
function writeFiles(source: Entry, folder: string): void {
  const paths = source.paths!.map((path) => join(folder, 'machines', String(source.host), path));
  for (const path of paths) {
    mkdirSync(path, { recursive: true });
    for (const name of ['main.conf', 'hosts', 'noise.log']) writeFileSync(join(path, name), `${name} of ${path}\n`);
  }
  Object.assign(source, { paths });
}

/** Answers as Vault does with a raft snapshot: a compressed tar, another one each time. */
async function startVault(source: Entry, folder: string, running: AsyncDisposableStack): Promise<void> {
  const vault = join(folder, 'vault');
  mkdirSync(vault);
  const header = join(folder, 'vault-header');
  writeFileSync(header, 'X-Vault-Token: a-token', { mode: 0o600 });
  let index = 0;
  const server = createServer((request, response) => {
    if (request.headers['x-vault-token'] !== 'a-token') return void response.writeHead(403).end();
    writeFileSync(join(vault, 'meta.json'), JSON.stringify({ Index: ++index }));
    writeFileSync(join(vault, 'state.bin'), `state ${index}`);
    response.end(execFileSync('tar', ['-czf', '-', '-C', vault, 'meta.json', 'state.bin']));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  running.defer(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const shell = source.shell!.replace(/@\S+/, `@${header}`).replace(/http:\/\/[^/]+/, `http://127.0.0.1:${port}`);
  Object.assign(source, { shell });
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
  console.log(
    `${sources.length} sources are up. In another terminal:\n  ${holdfast} repo init nas && ${holdfast} repo init drive`,
  );
  console.log(`  ${holdfast} backup --all && ${holdfast} drill --all && ${holdfast} status`);
  setInterval(() => {}, 1 << 30);
}
