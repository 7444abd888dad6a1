import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { Secret } from '../../src/base/secrets.ts';
import { unattended } from '../../src/drivers/conformance/context.ts';
import type { SourceContext } from '../../src/drivers/driver.ts';
import { postgres } from '../../src/drivers/postgres/index.ts';
import { settings } from '../../src/drivers/postgres/settings.ts';
import { localHost } from '../../src/hosts/local/index.ts';
import {
  clientPrograms,
  type PostgresRelease,
  type PostgresServer,
  postgresReleases,
  serverPrograms,
  startPostgres,
} from '../servers/postgres.ts';
import { seedPostgres, startBankWriters } from '../servers/postgres-data.ts';
import { type DriverTrial, describeDriver } from './trial.ts';

const host = localHost();
const database = 'odd "name"; -- \'x\' /..=';

/** The oldest and the newest in the usual run, all of them for the table in the docs. */
const releases: readonly PostgresRelease[] = process.env.CONFORMANCE_RESULTS ? postgresReleases : [12, 18];

for (const release of releases)
  describeDriver(`the postgres driver with PostgreSQL ${release}`, () => openTrial(release));

function sourceAt(given: Record<string, unknown>): SourceContext<unknown> {
  return unattended({ name: 'trial', settings: settings.parse(given), host, local: host });
}

async function openTrial(release: PostgresRelease): Promise<DriverTrial> {
  const password = { from: 'clear', secret: new Secret('trial; "x"') };
  const servers = [
    await startPostgres({ release, password: 'trial; "x"' }),
    await startPostgres({ release, password: 'trial; "x"' }),
  ];
  const [server, other] = servers;
  await seedPostgres(server, database);
  const binDirectory = [await clientPrograms(release), serverPrograms(release)];
  // Everything the driver makes shows here, and nothing of anybody else.
  const place = mkdtempSync(join(tmpdir(), 'holdfast-trial-'));
  chmodSync(place, 0o755);
  const { TMPDIR } = process.env;
  process.env.TMPDIR = place;
  const own = (port: number, name = database) => ({
    url: `postgres://postgres@127.0.0.1:${port}/${encodeURIComponent(name)}`,
    password,
    binDirectory,
  });
  const [[version]] = await server.run('postgres', 'SHOW server_version');
  return {
    driver: postgres,
    server: `PostgreSQL ${String(version).split(' ')[0]}`,
    source: sourceAt(own(server.port)),
    trial: {
      disturb: () => startBankWriters(server, database),
      async damage(copy) {
        await copy.query!('UPDATE public.account SET note = note || chr(120) WHERE id = 77');
      },
      refused: [
        sourceAt({ ...own(server.port), password: { from: 'clear', secret: new Secret('wrong') } }),
        sourceAt({ ...own(server.port), password: undefined }),
        sourceAt(own(server.port, 'nowhere')),
        sourceAt(own(1)),
        sourceAt({ ...own(server.port), tls: { mode: 'require' } }),
      ],
      elsewhere: async () => ({ target: own(other.port).url, source: sourceAt(own(other.port)) }),
      async leftovers() {
        const sessions = await ourSessions(server);
        const files = readdirSync(place).filter((name) => !/^holdfast-check/.test(name));
        return [...sessions.map(([name]) => `a session of ${name}`), ...files, ...drillServers()];
      },
    },
    async [Symbol.asyncDispose]() {
      process.env.TMPDIR = TMPDIR ?? '/tmp';
      for (const one of servers) await one[Symbol.asyncDispose]();
      rmSync(place, { recursive: true, force: true });
    },
  };
}

/** What is there after twenty seconds: a server ends a session only when it notices that the connection was closed. */
async function ourSessions(server: PostgresServer): Promise<unknown[][]> {
  const ours =
    "SELECT application_name FROM pg_stat_activity WHERE application_name IN ('holdfast', 'pg_dump', 'pg_restore')";
  for (let attempt = 0; attempt < 200; attempt++) {
    if ((await server.run('postgres', ours)).length === 0) return [];
    await setTimeout(100);
  }
  return await server.run('postgres', ours);
}

/** Servers that drills of this process started. */
function drillServers(): string[] {
  return readdirSync('/proc').filter((id) => {
    if (!/^\d+$/.test(id) || !existsSync(`/proc/${id}/stat`)) return false;
    try {
      const line = readFileSync(`/proc/${id}/cmdline`, 'utf8');
      const parent = readFileSync(`/proc/${id}/stat`, 'utf8').split(') ')[1].split(' ')[1];
      return (
        line.includes('postgres\0-D') &&
        line.includes('fsync=off') &&
        line.includes('full_page_writes=off') &&
        Number(parent) === process.pid
      );
    } catch {
      return false;
    }
  });
}
