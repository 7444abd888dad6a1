/** A MariaDB on another machine (a real sshd) and in a container: backed up, proven and restored, with the program as a person runs it. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { systemClock } from '../../src/base/clock.ts';
import { Secret } from '../../src/base/secrets.ts';
import { unattended } from '../../src/drivers/conformance/context.ts';
import { mariadb } from '../../src/drivers/mysql/index.ts';
import { settings } from '../../src/drivers/mysql/settings.ts';
import { openContainerEngine } from '../../src/hosts/docker/index.ts';
import type { ContainerEngine } from '../../src/hosts/host.ts';
import { localHost } from '../../src/hosts/local/index.ts';
import { parseFingerprint } from '../../src/model/fingerprint.ts';
import { openDriverBench } from '../../src/operations/sources/driver-bench.ts';
import { storageKinds } from '../../src/storage/registry.ts';
import { seedBank } from '../servers/bank.ts';
import { databases, sessions } from '../servers/database-asks.ts';
import { type DatabaseServer, rootPassword, startMariadb } from '../servers/mariadb.ts';
import { type Podman, startPodman } from '../servers/podman.ts';
import { type Sshd, startSshd } from '../servers/sshd.ts';

const execute = promisify(execFile);
const program = new URL('../../bin/holdfast', import.meta.url).pathname;
/** What a container's first start does: tables, a root without a password on its socket only, a database. */
const first = `set -e
mkdir -p /tmp/d; mariadb-install-db --no-defaults --user=root --datadir=/tmp/d --auth-root-authentication-method=normal --skip-test-db >/dev/null
exec mariadbd --no-defaults --user=root --datadir=/tmp/d --socket=/tmp/s --skip-networking --innodb-buffer-pool-size=32M`;
/** What MariaDB's official images end up with: root from anywhere, with the password that was given and all that root has. */
const entrypoint = `#!/bin/sh
set -e
mkdir -p /tmp/d; mariadb-install-db --no-defaults --user=root --datadir=/tmp/d --auth-root-authentication-method=normal --skip-test-db >/dev/null
cat >/tmp/init.sql <<END
DROP USER IF EXISTS root@'127.0.0.1', root@'::1';
CREATE USER root@'%' IDENTIFIED BY '$MARIADB_ROOT_PASSWORD';
GRANT ALL PRIVILEGES ON *.* TO root@'%' WITH GRANT OPTION;
INSERT INTO mysql.proxies_priv SELECT '%', User, Proxied_host, Proxied_user, With_grant, Grantor, NOW() FROM mysql.proxies_priv WHERE User = 'root' AND Host = 'localhost';
FLUSH PRIVILEGES;
END
exec mariadbd --no-defaults --user=root --datadir=/tmp/d --socket=/tmp/s --skip-name-resolve --innodb-buffer-pool-size=32M --init-file=/tmp/init.sql "$@"
`;

let folder: string;
let server: DatabaseServer;
let sshd: Sshd;
let podman: Podman;
let image: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-far-'));
  [server, sshd, podman] = await Promise.all([startMariadb(), startSshd(), startPodman({ hostPrograms: true })]);
  image = await podman.importHostImage();
  await seedBank(server, 'mariadb');
  await podman.command('run', '--detach', '--name', 'db', '--network', 'none', image, 'sh', '-c', first);
  const here = { repository: 'main', driver: 'mariadb' };
  const configuration = {
    repositories: { main: { url: join(folder, 'repository'), password: { env: 'KEY' } } },
    hosts: {
      far: { ssh: sshd.address, key: { file: sshd.key }, knownHosts: sshd.knownHosts },
      box: { docker: 'db', socket: podman.socketPath },
    },
    sources: {
      port: { ...here, host: 'far', url: `mariadb://root@127.0.0.1:${server.port}`, password: { env: 'ROOT' } },
      socket: {
        ...here,
        host: 'far',
        url: 'mariadb://root@localhost/bank',
        users: false,
        socket: server.socket,
        password: { env: 'ROOT' },
      },
      inside: { ...here, host: 'box', url: 'mariadb://root@localhost/shop', socket: '/tmp/s' },
    },
  };
  writeFileSync(join(folder, 'holdfast.yaml'), stringify(configuration));
  await holdfast('repo', 'init', 'main');
}, 180_000);

afterAll(async () => {
  await podman?.[Symbol.asyncDispose]();
  await sshd?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

/** An engine that does not answer at once, on a busy machine, is asked again. */
async function engine(): Promise<ContainerEngine | undefined> {
  for (let attempt = 1; ; attempt++) {
    const found = await openContainerEngine(podman.socketPath);
    if (found || attempt === 10) return found;
  }
}

/** No process may show a password while it runs. */
async function holdfast(...args: readonly string[]): Promise<string> {
  const env = { ...process.env, KEY: 'a key to it', ROOT: rootPassword };
  const running = execute(program, ['--config', join(folder, 'holdfast.yaml'), ...args], { env });
  const shown: string[] = [];
  const look = setInterval(() => {
    const secret = (line: string): boolean => line.includes(rootPassword) || line.includes('a key to it');
    shown.push(...commandLines().filter(secret));
  }, 50);
  try {
    return (await running).stdout;
  } finally {
    clearInterval(look);
    expect(shown).toEqual([]);
  }
}

function commandLines(): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      } catch {
        return '';
      }
    });
}

test('over ssh, by a port or a socket of the far machine, a server is backed up, proven and restored', async () => {
  for (const name of ['port', 'socket']) {
    await holdfast('backup', name);
    expect(await holdfast('drill', name)).toContain('PROVEN');
  }
  await holdfast('restore', 'socket@latest', '--to', 'bank_copy');
  expect(await databases(server)).toContain('bank_copy');
  const connection = await server.connect();
  const [rows] = await connection.query('CHECKSUM TABLE bank.movement, bank_copy.movement');
  await connection.end();
  const [a, b] = rows as { Checksum: number }[];
  expect(a.Checksum).toBe(b.Checksum);
  expect(await sessions(server)).toEqual([]);
});

test('in a container without a network a server is backed up, proven and restored', async () => {
  const sql = async (statement: string): Promise<string> =>
    await podman.command('exec', 'db', 'mariadb', '--no-defaults', '-uroot', '-S', '/tmp/s', '-BN', '-e', statement);
  for (let attempt = 0; ; attempt++) {
    const answer = await sql('SELECT 1').catch((error: unknown) => (attempt < 400 ? '' : Promise.reject(error)));
    if (answer === '1') break;
    await sleep(100);
  }
  await sql(`CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY, v TEXT, b BLOB);
    INSERT INTO shop.t SELECT seq, CONCAT('it''s ', seq), UNHEX(SHA2(seq, 512)) FROM shop.seq_1_to_20000;
    CREATE VIEW shop.v AS SELECT COUNT(*) AS n FROM shop.t`);
  await holdfast('backup', 'inside');
  expect(await holdfast('drill', 'inside')).toContain('PROVEN');
  const before = await sql('CHECKSUM TABLE shop.t');
  await sql('DELETE FROM shop.t WHERE id % 2 = 0');
  await holdfast('restore', 'inside@latest', '--in-place', '--overwrite');
  expect(await sql('CHECKSUM TABLE shop.t')).toBe(before);
  expect(await sql('SELECT n FROM shop.v')).toBe('20000');
  expect(await sql("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE command = 'Query' OR db = 'shop'")).toBe(
    '1',
  );
});

test('a drill in a container has every fact, and leaves no container', async () => {
  const host = localHost();
  const name = 'localhost/holdfast-mariadb:1';
  writeFileSync(join(folder, 'entrypoint'), entrypoint, { mode: 0o755 });
  await podman.command('create', '--name', 'maker', image, 'true');
  await podman.command('cp', join(folder, 'entrypoint'), 'maker:/entrypoint');
  await podman.command('commit', '--quiet', '--change', 'ENTRYPOINT ["/entrypoint"]', 'maker', name);
  await podman.command('rm', 'maker');
  const present = await podman.command('ps', '--all', '--quiet');
  const given = {
    url: `mariadb://root@127.0.0.1:${server.port}`,
    password: { from: 'clear', secret: new Secret(rootPassword) },
    binDirectory: '/nonexistent',
    image: name,
  };
  const source = unattended({ name: 'contained', host, local: host, settings: settings.parse(given) });
  await using bench = await openDriverBench({ driver: mariadb, storageKinds, clock: systemClock });
  await using opened = await (await bench.backUp(source)).open();
  const parts: Uint8Array[] = [];
  for await (const part of opened.contents.read('/.holdfast/fingerprint.json')) parts.push(part);
  const expected = parseFingerprint(Buffer.concat(parts).toString('utf8'));
  const containers = await engine();
  try {
    const throwaway = { directory: await bench.directory(), host, containers };
    await using copy = await mariadb.restoreThrowaway(source, opened.contents, throwaway);
    expect(copy.instance).toContain(name);
    const checks = await copy.compare(expected);
    expect(checks.filter(({ ok }) => !ok)).toEqual([]);
    expect(checks.length).toBeGreaterThan(40);
    expect(await copy.query!('SELECT COUNT(*) FROM bank.account')).toBe('40');
  } finally {
    await containers?.close();
  }
  expect(await podman.command('ps', '--all', '--quiet')).toBe(present);
});
