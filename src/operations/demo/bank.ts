/**
 * A small bank in a SQLite database in WAL mode, which moves money without a pause: every transfer takes from one account
 * and gives to another, so the sum of all balances never changes. A copy that is torn shows a different sum.
 *
 *   bank.ts open FILE     makes the database
 *   bank.ts run FILE      transfers until stdin ends; prints the number of transfers now and then
 *   bank.ts audit FILE    prints what is in it
 */
import { DatabaseSync } from 'node:sqlite';
import { systemClock } from '../../base/clock.ts';

const accounts = 2000;
const openingBalance = 1000;
const receipts = 60_000;
/** Transfers between two prints and two looks at stdin. */
const batch = 20;

const [verb, file] = process.argv.slice(2);
if (verb === 'open') openBank(file);
else if (verb === 'run') await runBank(file);
else audit(file);

function connect(path: string): DatabaseSync {
  const database = new DatabaseSync(path);
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 5000');
  return database;
}

function openBank(path: string): void {
  const database = connect(path);
  database.exec(`
    CREATE TABLE account (id INTEGER PRIMARY KEY, owner TEXT NOT NULL, balance INTEGER NOT NULL);
    CREATE TABLE transfer (id INTEGER PRIMARY KEY, payer INTEGER NOT NULL, payee INTEGER NOT NULL, amount INTEGER NOT NULL);
    CREATE TABLE receipt (id INTEGER PRIMARY KEY, content BLOB NOT NULL);
    BEGIN`);
  const account = database.prepare('INSERT INTO account (owner, balance) VALUES (?, ?)');
  for (let i = 1; i <= accounts; i++) account.run(`customer ${i}`, openingBalance);
  // Old business nobody changes any more: most of a real database is like that.
  const receipt = database.prepare('INSERT INTO receipt (content) VALUES (randomblob(420))');
  for (let i = 0; i < receipts; i++) receipt.run();
  database.exec('COMMIT');
  database.close();
}

async function runBank(path: string): Promise<void> {
  const database = connect(path);
  let open = true;
  process.stdin.resume();
  process.stdin.on('end', () => {
    open = false;
  });
  const take = database.prepare('UPDATE account SET balance = balance - ? WHERE id = ?');
  const give = database.prepare('UPDATE account SET balance = balance + ? WHERE id = ?');
  const note = database.prepare('INSERT INTO transfer (payer, payee, amount) VALUES (?, ?, ?)');
  for (let done = 0; open; done++) {
    const payer = 1 + Math.floor(Math.random() * accounts);
    const payee = 1 + Math.floor(Math.random() * accounts);
    const amount = 1 + Math.floor(Math.random() * 50);
    database.exec('BEGIN IMMEDIATE');
    take.run(amount, payer);
    give.run(amount, payee);
    note.run(payer, payee, amount);
    database.exec('COMMIT');
    if (done % batch !== 0) continue;
    process.stdout.write(`${done}\n`);
    await systemClock.sleep(2);
  }
  database.close();
}

function audit(path: string): void {
  const database = new DatabaseSync(path, { readOnly: true });
  const row = database
    .prepare('SELECT (SELECT sum(balance) FROM account) AS total, (SELECT count(*) FROM transfer) AS transfers')
    .get();
  database.close();
  process.stdout.write(`${JSON.stringify({ ...row, expected: accounts * openingBalance })}\n`);
}
