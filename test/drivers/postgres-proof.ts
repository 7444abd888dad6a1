/** What tests of the postgres driver ask again and again: a source, a restored copy and its comparison, and what is left behind. */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { expect } from 'vitest';
import { Secret } from '../../src/base/secrets.ts';
import type { Bench } from '../../src/drivers/check.ts';
import { unattended } from '../../src/drivers/conformance/context.ts';
import type { RestoredCopy, RestoreRequest, SourceContext } from '../../src/drivers/driver.ts';
import { postgres } from '../../src/drivers/postgres/index.ts';
import { type Settings, settings } from '../../src/drivers/postgres/settings.ts';
import { localHost } from '../../src/hosts/local/index.ts';
import { type Check, parseFingerprint } from '../../src/model/fingerprint.ts';
import { clientPrograms, type PostgresServer, serverPrograms } from '../servers/postgres.ts';

export const host = localHost();
/** Of the superuser, where a server asks for one. */
export const secret = 'geheim-9c2e "x"';
export type Source = SourceContext<Settings>;
export type Stored = Awaited<ReturnType<Bench['backUp']>>;

export async function sourceOf(
  server: PostgresServer,
  database: string,
  more: Record<string, unknown> = {},
  context: Partial<Source> = {},
): Promise<Source> {
  const { release } = server;
  const own = settings.parse({
    url: server.url(database),
    password: { from: 'clear', secret: new Secret(secret) },
    binDirectory: [await clientPrograms(release), serverPrograms(release)],
    ...more,
  });
  return unattended({ name: 'trial', settings: own, host, local: host, ...context });
}

/** Restored into a throwaway server, which goes with the task; in `directory` if given. */
export async function withCopy<T>(
  bench: Bench,
  source: Source,
  stored: Stored,
  task: (copy: RestoredCopy) => Promise<T>,
  directory?: string,
): Promise<T> {
  await using opened = await stored.open();
  await using copy = await postgres.restoreThrowaway(source, opened.contents, {
    directory: directory ?? (await bench.directory()),
    host,
  });
  return await task(copy);
}

export async function restoreTo(source: Source, stored: Stored, more: Partial<RestoreRequest>) {
  await using opened = await stored.open();
  return await postgres.restore(source, opened.contents, { host, dryRun: false, overwrite: false, ...more });
}

export async function read(stored: Stored, path: string): Promise<Buffer> {
  await using opened = await stored.open();
  const parts: Uint8Array[] = [];
  for await (const part of opened.contents.read(path)) parts.push(Uint8Array.from(part));
  return Buffer.concat(parts);
}

export async function compare(stored: Stored, copy: RestoredCopy): Promise<Check[]> {
  const text = (await read(stored, '/.holdfast/fingerprint.json')).toString('utf8');
  const checks = await copy.compare(parseFingerprint(text));
  expect(checks.length).toBeGreaterThan(0);
  return checks;
}

export const failedOf = (checks: readonly Check[]): Check[] => checks.filter(({ ok }) => !ok);

/** Sessions of ours; a backend needs a moment to go after its client was killed. */
export async function sessions(server: PostgresServer): Promise<unknown[][]> {
  for (let i = 0; ; i++) {
    const rows = await server.run(
      'postgres',
      "SELECT application_name, state, query FROM pg_stat_activity WHERE application_name = 'holdfast' OR application_name LIKE 'pg_%'",
    );
    if (rows.length === 0 || i > 200) return rows;
    await setTimeout(100);
  }
}

export interface Program {
  readonly id: number;
  readonly line: string;
}

/** Programs this process started, or those `parent` started. */
export function programs(parent = process.pid): Program[] {
  return readdirSync('/proc').flatMap((name) => {
    try {
      const its = Number(readFileSync(`/proc/${name}/stat`, 'latin1').split(') ').at(-1)!.split(' ')[1]);
      if (!/^\d+$/.test(name) || its !== parent) return [];
      return [{ id: Number(name), line: readFileSync(`/proc/${name}/cmdline`, 'utf8') }];
    } catch {
      return [];
    }
  });
}

export const isDump = ({ line }: Program): boolean => line.includes('pg_dump\0--format');
