import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { localHost } from '../../hosts/local/index.ts';
import { seedBank } from './fixture.ts';
import { type Playground, playground } from './fixture-run.ts';
import { SqliteRefusal, startHolder } from './holder-client.ts';

let place: Playground;
beforeEach(() => {
  place = playground();
});
afterEach(() => place[Symbol.dispose]());

test('a holder whose parent is gone ends in the midst of its work, and its lock with it', async () => {
  const path = place.path('bank.db');
  seedBank({ path, accounts: 300_000, blobs: 10 });
  const program = fileURLToPath(new URL('./holder.ts', import.meta.url));
  const holder = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', program], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const questions = [{ ask: 'open', path, mode: 'snapshot', busyMs: 0 }, { ask: 'hold' }];
  for (const [id, question] of questions.entries()) holder.stdin.write(`${JSON.stringify({ id, ...question })}\n`);
  for (let lines = 0; lines < 2; ) {
    const [chunk] = (await once(holder.stdout, 'data')) as [Buffer];
    lines += chunk.toString().split('\n').length - 1;
  }
  // What it is asked would take it seconds: the end of its input must be seen before that is done.
  let answered = 0;
  holder.stdout.on('data', (chunk: Buffer) => {
    answered += chunk.toString().split('\n').length - 1;
  });
  for (let id = 2; id < 30; id++) holder.stdin.write(`${JSON.stringify({ id, ask: 'fingerprint', level: 'full' })}\n`);
  const checkpoint = (): string =>
    spawnSync('sqlite3', [path, 'UPDATE account SET balance = 1 WHERE id = 1; PRAGMA wal_checkpoint(TRUNCATE)'], {
      encoding: 'utf8',
    }).stdout;
  expect(checkpoint()).toMatch(/^1\|/);
  holder.stdin.end();
  const [, signal] = (await once(holder, 'close')) as [number | null, string | null];
  expect(signal).toBe('SIGKILL');
  expect(answered).toBeLessThan(28);
  expect(checkpoint()).toMatch(/^0\|/);
});

test('what SQLite refuses comes back with its code, and the holder stays of use', async () => {
  await using holder = await startHolder(localHost());
  const open = (path: string) => holder.ask({ ask: 'open', path, mode: 'snapshot', busyMs: 0 });
  await expect(open(place.path('absent.db'))).rejects.toBeInstanceOf(SqliteRefusal);
  seedBank({ path: place.path('bank.db') });
  expect(await open(place.path('bank.db'))).toMatchObject({ journalMode: 'wal' });
});

test('a cancelled run takes its holder along', async () => {
  seedBank({ path: place.path('bank.db') });
  const cancel = new AbortController();
  await using holder = await startHolder(localHost(), cancel.signal);
  await holder.ask({ ask: 'open', path: place.path('bank.db'), mode: 'snapshot', busyMs: 0 });
  cancel.abort();
  await expect(holder.ask({ ask: 'hold' })).rejects.toMatchObject({ code: 'cancelled' });
});
