/** `node:sqlite` as kysely wants a database: one connection, whose transactions are as safe as those of PostgreSQL. */
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import {
  type Dialect,
  type DialectAdapter,
  SqliteAdapter,
  type SqliteDatabase,
  SqliteDriver,
  SqliteIntrospector,
  SqliteQueryCompiler,
  type SqliteStatement,
} from 'kysely';

/** Statements that were prepared once; more than Holdfast has. */
const mostStatements = 300;

/** Opens (or makes) the file; whoever has it open too is waited for up to 10 s. A transaction is on the disk when it is committed. */
export function sqliteDialect(path: string): Dialect {
  const database = openSqlite(path);
  return {
    createAdapter: transactionalAdapter,
    createDriver: () => new SqliteDriver({ database }),
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

function openSqlite(path: string): SqliteDatabase {
  const database = new DatabaseSync(path, { timeout: 10_000 });
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON');
  database.exec('PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -16384; PRAGMA temp_store = MEMORY');
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
  return { prepare, close: () => closeWell(database) };
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
    database.exec('PRAGMA optimize');
  } finally {
    database.close();
  }
}
