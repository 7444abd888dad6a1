/** The catalogue: an SQLite file of our own, or a PostgreSQL database that several workers share. */
import { chmod, mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { CamelCasePlugin, Kysely, PostgresDialect } from 'kysely';
import { Migrator } from 'kysely/migration';
import { HoldfastError, messageOf, systemCode } from '../base/errors.ts';
import { closingClient } from './closing-client.ts';
import { migrations } from './migrations/index.ts';
import { sqliteDialect } from './node-sqlite.ts';
import type { Tables } from './tables.ts';

export type Database = Kysely<Tables>;

export interface Catalogue extends AsyncDisposable {
  readonly kind: 'sqlite' | 'postgres';
  readonly db: Database;
  /** Where it is, without secrets. */
  readonly title: string;
  /** The database's own time: what leases of several machines are measured by. */
  nowMs(): Promise<number>;
}

/** `sqlite`: path of the file, or `:memory:`. `postgres`: a connection string, with its password. */
export type CatalogueAddress =
  | { readonly kind: 'sqlite'; readonly path: string }
  | { readonly kind: 'postgres'; readonly url: string; readonly password?: string };

const integer8 = 20;

/** Opens it and brings its tables up to date. `catalogue.unreachable`, `catalogue.newer`. */
export async function openCatalogue(address: CatalogueAddress, nowMs: () => number): Promise<Catalogue> {
  const opened = address.kind === 'sqlite' ? await openFile(address.path, nowMs) : await openPostgres(address);
  try {
    await migrate(opened);
  } catch (error) {
    await opened.db.destroy();
    throw error;
  }
  return opened;
}

/** Before SQLite opens it: what it writes beside the file (-wal, -shm) takes the file's mode. */
async function makePrivate(path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  // By its name: this process may have it open already, and would lose its locks by closing it (base/open-databases.ts).
  const isThere = await chmod(path, 0o600).then(
    () => true,
    (error: unknown) => {
      if (systemCode(error) === 'ENOENT') return false;
      throw error;
    },
  );
  if (!isThere) await (await open(path, 'a', 0o600)).close();
}

async function openFile(path: string, nowMs: () => number): Promise<Catalogue> {
  try {
    if (path !== ':memory:') await makePrivate(path);
    const dialect = sqliteDialect(path);
    const db = new Kysely<Tables>({ dialect, plugins: [new CamelCasePlugin()] });
    return { kind: 'sqlite', db, title: path, nowMs: async () => nowMs(), [Symbol.asyncDispose]: () => db.destroy() };
  } catch (cause) {
    throw unreachable(path, cause);
  }
}

async function openPostgres({ url, password }: Extract<CatalogueAddress, { kind: 'postgres' }>): Promise<Catalogue> {
  const { default: pg } = await import('pg');
  const types = {
    getTypeParser: (oid: number, format?: 'text' | 'binary') =>
      oid === integer8 && format !== 'binary' ? Number : pg.types.getTypeParser(oid, format),
  };
  const { title, connectionString } = postgresAddress({ url, password });
  const pool = new pg.Pool({
    connectionString,
    types: types as typeof pg.types,
    Client: closingClient(pg.Client),
    max: 10,
    connectionTimeoutMillis: 10_000,
    application_name: 'holdfast',
    // Who stops in the middle of a transaction (a machine that froze, a network that was cut) must not keep the others waiting.
    idle_in_transaction_session_timeout: 30_000,
    keepAlive: true,
  });
  // A connection that breaks while nobody uses it is replaced by the pool; without a listener it would end the process.
  pool.on('error', () => undefined);
  const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }), plugins: [new CamelCasePlugin()] });
  const nowMs = async (): Promise<number> => {
    const { rows } = await pool.query<{ ms: number }>(
      'select floor(extract(epoch from clock_timestamp()) * 1000)::bigint as ms',
    );
    return rows[0].ms;
  };
  try {
    await nowMs();
  } catch (cause) {
    await db.destroy();
    throw notSignedIn(title, cause) ?? unreachable(title, cause);
  }
  return { kind: 'postgres', db, title, nowMs, [Symbol.asyncDispose]: () => db.destroy() };
}

/** `title` is without secrets. */
export function postgresAddress({ url, password }: { readonly url: string; readonly password?: string }) {
  const target = new URL(url);
  const title = `${target.protocol}//${target.host}${target.pathname}`;
  // Into the address: what stands there counts alone, also where it holds no password.
  if (password !== undefined) target.password = encodeURIComponent(password);
  return { title, connectionString: target.href };
}

/** Several that start at once wait for the first of them. */
async function migrate({ db, title }: Catalogue): Promise<void> {
  const migrator = new Migrator({ db, provider: { getMigrations: async () => migrations } });
  const { error } = await migrator.migrateToLatest();
  if (error) throw newerOr(error, title);
}

function newerOr(cause: unknown, title: string): HoldfastError {
  const isNewer = /corrupted migrations|is missing/.test(messageOf(cause));
  return new HoldfastError({
    code: isNewer ? 'catalogue.newer' : 'catalogue.unreachable',
    message: isNewer
      ? `the catalogue ${title} was made by a newer version`
      : `the catalogue ${title} could not be brought up to date: ${messageOf(cause)}`,
    remedy: isNewer
      ? 'Run the newer version; or move the catalogue away: it is made again from the repositories.'
      : 'Look at what the database says, and start again: what was done stays.',
    cause,
  });
}

/** It is there, and does not let this user in: for want of a password, or of the right one. Nothing for any other failure. */
export function notSignedIn(title: string, cause: unknown): HoldfastError | undefined {
  // A refused password (SQLSTATE 28P01), or one that this side was asked for and has not.
  const isRefused = systemCode(cause) === '28P01';
  if (!isRefused && !/password must be a/.test(messageOf(cause))) return undefined;
  return new HoldfastError({
    code: 'catalogue.unreachable',
    message: `the catalogue ${title} cannot be opened: ${isRefused ? messageOf(cause) : 'its server asks for a password, and none is given'}`,
    remedy: 'Name the right one in the configuration: «server: catalogue: { postgres: …, password: { env: NAME } }».',
    retry: 'later',
    cause,
  });
}

function unreachable(title: string, cause: unknown): HoldfastError {
  return new HoldfastError({
    code: 'catalogue.unreachable',
    message: `the catalogue ${title} cannot be opened: ${messageOf(cause)}`,
    remedy: 'Check that it is there and that this user may use it (server: catalogue in the configuration).',
    retry: 'later',
    cause,
  });
}
