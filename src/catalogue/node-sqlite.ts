/** `node:sqlite` as kysely wants a database: one connection, whose transactions are as safe as those of PostgreSQL. */
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import {
  type DatabaseConnection,
  type Dialect,
  type DialectAdapter,
  type Driver,
  SqliteAdapter,
  type SqliteDatabase,
  SqliteDriver,
  SqliteIntrospector,
  SqliteQueryCompiler,
  type SqliteStatement,
} from 'kysely';
import { systemClock } from '../base/clock.ts';
import { holdsDatabase } from '../base/open-databases.ts';

/** Statements that were prepared once; more than Holdfast has. */
const mostStatements = 300;
/** Another process that writes is waited for so long; its transactions take milliseconds. */
const patienceMs = 15_000;

/** Opens (or makes) the file. A transaction is on the disk when it is committed. */
export function sqliteDialect(path: string): Dialect {
  const database = openSqlite(path);
  return {
    createAdapter: transactionalAdapter,
    createDriver: () => patientDriver(new SqliteDriver({ database })),
    createIntrospector: (db) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  };
}

/** Migrations run in one transaction: SQLite can do that, and a process killed in the middle leaves no half of one. */
function transactionalAdapter(): DialectAdapter {
  const adapter = new SqliteAdapter();
  return {
    supportsCreateIfNotExists: adapter.supportsCreateIfNotExists,
    supportsMultipleConnections: adapter.supportsMultipleConnections,
    supportsOutput: adapter.supportsOutput,
    supportsReturning: adapter.supportsReturning,
    supportsTransactionalDdl: true,
    acquireMigrationLock: (db, options) => adapter.acquireMigrationLock(db, options),
    releaseMigrationLock: (db, options) => adapter.releaseMigrationLock(db, options),
  };
}

/** Waits for other writers without holding up this process, which SQLite itself would. */
function patientDriver(driver: Driver): Driver {
  const patient = (connection: DatabaseConnection): DatabaseConnection => ({
    streamQuery: (query, size) => connection.streamQuery(query, size),
    async executeQuery(query) {
      for (const startMs = systemClock.monotonicMs(); ; ) {
        try {
          return await connection.executeQuery(query);
        } catch (error) {
          if (!isBusy(error) || systemClock.monotonicMs() - startMs > patienceMs) throw error;
        }
        await systemClock.sleep(5 + Math.random() * 20);
      }
    },
  });
  return {
    init: (options) => driver.init(options),
    acquireConnection: async (options) => patient(await driver.acquireConnection(options)),
    beginTransaction: (connection, settings) => driver.beginTransaction(connection, settings),
    commitTransaction: (connection) => driver.commitTransaction(connection),
    rollbackTransaction: (connection) => driver.rollbackTransaction(connection),
    releaseConnection: async () => undefined,
    destroy: () => driver.destroy(),
  };
}

/** SQLITE_BUSY, with whatever SQLite adds to it in the upper bits. */
function isBusy(error: unknown): boolean {
  return (
    error instanceof Error && 'errcode' in error && typeof error.errcode === 'number' && (error.errcode & 255) === 5
  );
}

function openSqlite(path: string): SqliteDatabase {
  const database = new DatabaseSync(path, { timeout: patienceMs });
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON');
  database.exec('PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -16384; PRAGMA temp_store = MEMORY');
  // What the planner has to know of tables that changed much; bounded by SQLite itself.
  database.exec('PRAGMA optimize = 0x10012; PRAGMA busy_timeout = 5');
  // The first read, so that all its files are there.
  database.prepare('SELECT count(*) FROM sqlite_schema').get();
  const held = path === ':memory:' ? undefined : holdsDatabase(path);
  const prepared = new Map<string, SqliteStatement>();
  const prepare = (sql: string): SqliteStatement => {
    const known = prepared.get(sql);
    if (known) return known;
    // A transaction that reads first and writes then would fail if somebody else wrote in between.
    const statement = statementOf(database.prepare(sql === 'begin' ? 'begin immediate' : sql));
    if (prepared.size >= mostStatements) prepared.clear();
    if (!/^\s*(?:create|alter|drop|pragma)\b/i.test(sql)) prepared.set(sql, statement);
    return statement;
  };
  const close = (): void => {
    try {
      closeWell(database);
    } finally {
      held?.[Symbol.dispose]();
    }
  };
  return { prepare, close };
}

function statementOf(statement: StatementSync): SqliteStatement {
  return {
    reader: statement.columns().length > 0,
    all: (parameters) => statement.all(...(parameters as SQLInputValue[])),
    run(parameters) {
      const { changes, lastInsertRowid } = statement.run(...(parameters as SQLInputValue[]));
      return { changes, lastInsertRowid };
    },
    iterate: (parameters) => statement.iterate(...(parameters as SQLInputValue[])),
  };
}

/** With what the planner has to know of the tables, if they changed much: bounded by SQLite to a few milliseconds. */
function closeWell(database: DatabaseSync): void {
  try {
    database.exec(`PRAGMA busy_timeout = ${patienceMs}; PRAGMA optimize`);
  } finally {
    database.close();
  }
}
