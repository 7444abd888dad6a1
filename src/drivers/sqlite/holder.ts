/**
 * The process that holds SQLite's locks while another copies. POSIX locks belong to a process, and closing any descriptor of
 * a file drops all of them (sqlite.org/howtocorrupt.html §2.2), so the copier must be another process, and this one opens
 * the `-shm` file at most once and never closes it.
 *
 * Runs as its own program: questions on stdin, replies on stdout (`messages.ts`). It ends at once when stdin ends, so a lock
 * never outlives whoever asked for it. It writes to the source only to roll back a hot journal (`recover`).
 */
import { existsSync, openSync, readSync, statSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { createInterface } from 'node:readline';
import { backup, DatabaseSync } from 'node:sqlite';
import { messageOf } from '../../base/errors.ts';
import { systemPath } from '../../base/names.ts';
import { parseWalIndex, sameWalState, walIndexHeadBytes } from '../../protocols/sqlite/wal-index.ts';
import { takeFacts } from './fingerprint.ts';
import {
  type Answers,
  type CopiedState,
  type Failure,
  type HeldState,
  type Opened,
  type OpenMode,
  type Question,
  sqliteCode,
} from './messages.ts';
import { sqliteUri } from './sqlite-uri.ts';

/** Tries to take a read transaction with no commit in between; at 10 µs a try, even 10 000 commits a second leave most of them clean. */
const holdTries = 2000;

class Holder {
  #db: DatabaseSync | undefined;
  #path = '';
  #mode: OpenMode = 'snapshot';
  #shm: number | undefined;
  #walWasMissing = false;

  async answer(question: Question): Promise<Answers[keyof Answers]> {
    switch (question.ask) {
      case 'open':
        return this.#open(question);
      case 'hold':
        return this.#hold();
      case 'unhold':
        this.#database().exec('COMMIT');
        return {};
      case 'copy':
        return await copyOf(this.#database(), question.to);
      case 'fingerprint':
        return await takeFacts(this.#database(), question.level, nextTurn);
      case 'integrity':
        return { lines: integrityOf(this.#database()) };
      case 'query':
        return { lines: answersOf(this.#database(), question.statement) };
      case 'in-use':
        return { inUse: isInUse(question.path) };
      case 'release':
        this.#release();
        return {};
    }
  }

  #database(): DatabaseSync {
    if (this.#db === undefined) throw new Error('no database is open');
    return this.#db;
  }

  #open(question: Question & { ask: 'open' }): Opened {
    this.#db?.close();
    this.#path = question.path;
    this.#mode = question.mode;
    this.#walWasMissing = !existsSync(systemPath(`${question.path}-wal`));
    const readOnly = question.mode === 'snapshot' || question.mode === 'frozen';
    const db = new DatabaseSync(sqliteUri(question.path, question.mode), { readOnly, timeout: question.busyMs });
    this.#db = db;
    // Never checkpoint on this program's account; a reader does not, but `recover` could.
    if (question.mode === 'recover') db.exec('PRAGMA wal_autocheckpoint = 0');
    // The first read: recovers the wal-index where that is due, and fails if this is no database.
    db.prepare('SELECT count(*) FROM sqlite_schema').get();
    return { pid: process.pid, libraryVersion: text(db, 'SELECT sqlite_version()'), journalMode: journalMode(db) };
  }

  /** Begins a read transaction, and with WAL says of exactly which state: no commit lies between the looks before and after. */
  #hold(): HeldState {
    const db = this.#database();
    for (let tries = 1; tries <= holdTries; tries++) {
      const before = this.#walIndexHead();
      db.exec('BEGIN');
      db.prepare('SELECT count(*) FROM sqlite_schema').get();
      const mode = journalMode(db);
      const facts = { journalMode: mode, pageBytes: count(db, 'page_size'), pageCount: count(db, 'page_count'), tries };
      if (mode !== 'wal') return facts;
      const first = this.#walIndexHead();
      const second = this.#walIndexHead();
      const settled = before && first && second && parseWalIndex(second) && second.equals(first);
      if (settled && sameWalState(before, second)) return { ...facts, walIndex: second.toString('base64') };
      db.exec('COMMIT');
    }
    throw new Error('commits followed each other too fast to tell which one the read transaction sees');
  }

  /** The descriptor stays open until the process ends: closing it would drop the locks this process is for. */
  #walIndexHead(): Buffer | undefined {
    if (this.#shm === undefined) {
      const path = systemPath(`${this.#path}-shm`);
      if (!existsSync(path)) return undefined;
      this.#shm = openSync(path, 'r');
    }
    const head = Buffer.alloc(walIndexHeadBytes);
    return readSync(this.#shm, head, 0, head.length, 0) === head.length ? head : undefined;
  }

  /**
   * A read-only connection that closes last neither checkpoints nor deletes the WAL (its descriptor cannot take the exclusive
   * lock that needs). If there was no WAL before, it leaves an empty one behind: SQLite itself takes it away again.
   */
  #release(): void {
    this.#database().close();
    this.#db = undefined;
    if (this.#mode !== 'snapshot' || !this.#walWasMissing) return;
    const wal = statSync(systemPath(`${this.#path}-wal`), { throwIfNoEntry: false });
    if (wal?.size !== 0) return;
    try {
      const db = new DatabaseSync(sqliteUri(this.#path, 'own'), { timeout: 0 });
      db.prepare('SELECT count(*) FROM sqlite_schema').get();
      db.close();
    } catch {
      // Another program is at work, or we may not write: then the empty WAL is its or nobody's business, and harmless.
    }
  }
}

/** In one step, so in one read transaction: between steps others could write, and it would start over. */
async function copyOf(db: DatabaseSync, to: string): Promise<CopiedState> {
  await backup(db, to, { rate: everyPage });
  return { pageBytes: count(db, 'page_size'), sizeBytes: statSync(systemPath(to)).size };
}
/** More than SQLite allows in a file. */
const everyPage = 2 ** 31 - 1;

/**
 * True if any other connection, in whatever process or container, has the database open with a lock: an idle WAL connection
 * holds one all the time, an idle rollback connection does not. Where a WAL is present the connection is never closed but
 * ends with the process, by a signal, because a proper close would checkpoint and delete it.
 */
function isInUse(path: string): boolean {
  const hasWal = existsSync(systemPath(`${path}-wal`));
  const db = new DatabaseSync(sqliteUri(path, 'own'), { timeout: 0 });
  try {
    db.exec('PRAGMA locking_mode = EXCLUSIVE');
    db.exec('BEGIN EXCLUSIVE');
    return false;
  } catch (error) {
    const primary = (sqliteCodeOf(error) ?? 0) & 0xff;
    if (primary === sqliteCode.busy || primary === sqliteCode.locked) return true;
    throw error;
  } finally {
    if (hasWal) abandoned.push(db);
    else db.close();
  }
}
/** Kept from the garbage collector, which would close them. */
const abandoned: DatabaseSync[] = [];

function integrityOf(db: DatabaseSync): string[] {
  const rows = db.prepare('PRAGMA integrity_check(100)').all();
  return rows.map((row) => String(row.integrity_check));
}

/** A statement of a person, which may only read. */
function answersOf(db: DatabaseSync, statement: string): string[] {
  db.exec('PRAGMA query_only = ON');
  try {
    const rows = db.prepare(statement, { readBigInts: true }).all();
    return rows.map((row) => Object.values(row).map(shown).join('\t'));
  } finally {
    db.exec('PRAGMA query_only = OFF');
  }
}

function shown(value: unknown): string {
  if (value === null) return '';
  return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : String(value);
}

function text(db: DatabaseSync, sql: string): string {
  return String(Object.values(db.prepare(sql).get() ?? {})[0]);
}

function journalMode(db: DatabaseSync): string {
  return text(db, 'PRAGMA journal_mode');
}

function count(db: DatabaseSync, pragma: string): number {
  return Number(text(db, `PRAGMA ${pragma}`));
}

function sqliteCodeOf(error: unknown): number | undefined {
  return error instanceof Error && 'errcode' in error && typeof error.errcode === 'number' ? error.errcode : undefined;
}

function failureOf(error: unknown): Failure {
  return { message: messageOf(error), sqlite: sqliteCodeOf(error) };
}

/** Lets the event loop see that stdin ended. */
async function nextTurn(): Promise<void> {
  await new Promise<void>((resolve) => setImmediate(resolve));
}

/** SIGKILL and not exit(): nothing may be closed "properly" on the way out, see `isInUse`. */
function endAtOnce(): void {
  process.kill(process.pid, 'SIGKILL');
}

/** Node keeps compiled code when a process ends, and this one is ended by a signal. Costs something the first time only. */
let keepCompiled = (): void => {
  keepCompiled = () => {};
  setImmediate(flushCompileCache);
};

function serve(): void {
  const holder = new Holder();
  const lines = createInterface({ input: process.stdin, crlfDelay: Number.POSITIVE_INFINITY });
  let turn = Promise.resolve();
  lines.on('line', (line) => {
    const { id, ...question } = JSON.parse(line) as Question & { id: number };
    turn = turn
      .then(() => holder.answer(question as Question))
      .then(
        (ok) => ({ id, ok }),
        (error: unknown) => ({ id, failure: failureOf(error) }),
      )
      .then((reply) => {
        process.stdout.write(`${JSON.stringify(reply)}\n`);
        keepCompiled();
      });
  });
  lines.on('close', endAtOnce);
  process.stdout.on('error', endAtOnce);
}

serve();
