/** MySQL 9 from Debian's unstable suite, unpacked once into a cache, on a free loopback port and a socket. */
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { freePort } from './free-port.ts';
import { type DatabaseServer, firstStatements, type ServerOptions, startServer } from './mariadb.ts';

const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'holdfast-tests');
const script = fileURLToPath(new URL('suite-packages.sh', import.meta.url));

/** The folder with `mysqld`; `undefined` where it cannot be had, which is an error where CI is set. About ten seconds and 330 MB the first time. */
export async function mysqlPrograms(): Promise<string | undefined> {
  const folder = join(cache, 'mysql-sid');
  try {
    await promisify(execFile)(script, [folder, 'sid', '/usr/sbin/mysqld', 'mysql-server-core']);
    return join(folder, 'bin');
  } catch (error) {
    if (process.env.CI) throw error;
    console.warn(`MySQL cannot be had here: ${String(error)}`);
    return undefined;
  }
}

/** `programs` is what `mysqlPrograms` gave. */
export async function startMysql(programs: string, options: ServerOptions = {}): Promise<DatabaseServer> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-mysql-'));
  try {
    const program = join(programs, 'mysqld');
    const user = [`--tmpdir=${folder}`, ...(process.getuid?.() === 0 ? ['--user=root'] : [])];
    const base = [...user, `--datadir=${folder}/data`];
    execFileSync(program, ['--no-defaults', ...base, '--initialize-insecure'], { stdio: 'pipe' });
    writeFileSync(join(folder, 'first.sql'), firstStatements());
    const port = await freePort();
    const argv = [
      ...[program, '--no-defaults', ...base, `--socket=${folder}/s`, `--port=${port}`, `--pid-file=${folder}/pid`],
      ...[`--log-error=${folder}/log`, `--init-file=${folder}/first.sql`, '--mysqlx=OFF', '--secure-file-priv='],
      ...[
        '--bind-address=127.0.0.1',
        '--log-bin=binlog',
        '--server-id=7',
        '--gtid-mode=ON',
        '--enforce-gtid-consistency',
      ],
      ...['--innodb-flush-log-at-trx-commit=0', '--innodb-buffer-pool-size=64M', ...(options.arguments ?? [])],
    ];
    return await startServer({ folder, port, argv });
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}
