import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Host } from '../../hosts/host.ts';
import { localHost } from '../../hosts/local/index.ts';
import type { RestoreRequest, SnapshotContents, SourceContext } from '../driver.ts';
import { bankFaults, ledgerLength, seedBank, transfer } from './fixture.ts';
import { backUp, contentsOf, type Playground, playground, sourceOf, startWriter } from './fixture-run.ts';
import { sqlite } from './index.ts';
import { farHost } from './remote/fixture-far.ts';
import type { Settings } from './settings.ts';

const host = localHost();
let place: Playground;
beforeEach(() => {
  place = playground();
});
afterEach(() => place[Symbol.dispose]());

async function snapshot() {
  const path = place.path('source.db');
  seedBank({ path });
  const source = sourceOf(host, { path });
  const { fingerprint } = await backUp(source, place.path('stored'));
  return { source, fingerprint, contents: contentsOf(place.path('stored'), path) };
}

const askOn = (host: Host, target: string, more: Partial<RestoreRequest> = {}): RestoreRequest => ({
  host,
  target,
  dryRun: false,
  overwrite: false,
  ...more,
});

const places = [
  ['on this machine', host],
  ['on another host', farHost(host)],
  ['on another host without python3', farHost(host, { without: ['python3'], coarse: true })],
] as const;

describe.each(places)('restore %s', (_name, there) => {
  const ask = (target: string, more: Partial<RestoreRequest> = {}): RestoreRequest => askOn(there, target, more);

  test('puts the database where nothing is, with its mode and times', async () => {
    const { source, contents } = await snapshot();
    const target = place.path('new.db');
    const outcome = await sqlite.restore(source, contents, ask(target));
    expect(outcome).toMatchObject({ files: 1, bytes: statSync(target).size, problems: [] });
    expect(bankFaults(target)).toEqual([]);
    expect(statSync(target).mode & 0o7777).toBe(0o640);
    expect(statSync(target).mtimeMs).toBe(1_600_000_000_000);
    expect(readdirSync(place.directory).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  test('refuses a target in a directory that is not there, and names it', async () => {
    const { source, contents } = await snapshot();
    const refused = await sqlite.restore(source, contents, ask(place.path('gone/below/new.db'))).catch((one) => one);
    expect(refused).toMatchObject({ code: 'restore.target-invalid' });
    expect(`${refused.message} ${refused.remedy}`).toMatch(/director/);
    expect(refused.message).not.toContain('ENOENT');
    expect(existsSync(place.path('gone'))).toBe(false);
  });

  test('refuses what is there, changes nothing in a dry run, and keeps everything aside when told to overwrite', async () => {
    const { source, contents } = await snapshot();
    const target = place.path('live.db');
    seedBank({ path: target });
    const writer = await startWriter({ path: target, perSecond: 0, transfers: 3 });
    await writer.crash();
    const before = [readFileSync(target), readFileSync(`${target}-wal`)];
    await expect(sqlite.restore(source, contents, ask(target))).rejects.toMatchObject({
      code: 'restore.target-exists',
    });
    const planned = await sqlite.restore(source, contents, ask(target, { dryRun: true, overwrite: true }));
    expect(planned.steps.join('\n')).toContain(`${target}-wal aside as`);
    expect([readFileSync(target), readFileSync(`${target}-wal`)]).toEqual(before);
    await sqlite.restore(source, contents, ask(target, { overwrite: true }));
    expect(existsSync(`${target}-wal`)).toBe(false);
    expect(bankFaults(target)).toEqual([]);
    expect(ledgerLength(target)).toBe(0);
    const aside = readdirSync(place.directory).filter((name) => name.startsWith('live.db.before-'));
    const main = aside.find((name) => !/-(wal|shm)$/.test(name))!;
    expect(aside).toContain(`${main}-wal`);
    using kept = new DatabaseSync(place.path(main));
    expect(Number(kept.prepare('SELECT count(*) AS n FROM ledger').get()?.n)).toBeGreaterThan(0);
  });

  test.each(['-wal', '-journal'])(
    'never leaves a stale %s that would be replayed into the restored file',
    async (suffix) => {
      const { source, contents } = await snapshot();
      const target = place.path('gone.db');
      writeFileSync(`${target}${suffix}`, 'left by a database that is gone');
      await sqlite.restore(source, contents, ask(target));
      expect(existsSync(`${target}${suffix}`)).toBe(false);
      expect(bankFaults(target)).toEqual([]);
      expect(readdirSync(place.directory).some((name) => name.startsWith('gone.db.before-'))).toBe(true);
    },
  );

  test.each(['wal', 'delete'] as const)('refuses a target a program has open: %s', async (journal) => {
    const { source, contents } = await snapshot();
    const target = place.path('live.db');
    seedBank({ path: target, journal });
    const writer = await startWriter({ path: target, perSecond: 0.1 });
    const outcome = sqlite.restore(source, contents, ask(target, { overwrite: true }));
    await expect(outcome).rejects.toMatchObject({ code: 'source.busy', message: expect.stringContaining('in use by') });
    await writer.stop();
    expect(ledgerLength(target)).toBe(1);
    await sqlite.restore(source, contents, ask(target, { overwrite: true }));
    expect(ledgerLength(target)).toBe(0);
  });

  test('that fails at the last step leaves what was there in its place', async () => {
    const { source, contents } = await snapshot();
    const target = place.path('live.db');
    seedBank({ path: target });
    await (await startWriter({ path: target, perSecond: 0, transfers: 3 })).crash();
    const before = [readFileSync(target), readFileSync(`${target}-wal`)];
    // What was written beside the target is gone when it is to take its name.
    const run: Host['run'] = async (command) => {
      const beside = readdirSync(place.directory).filter((name) => name.startsWith('.live.db.holdfast-'));
      for (const name of beside) rmSync(place.path(name));
      return await there.run(command);
    };
    await expect(
      sqlite.restore(source, contents, { ...ask(target, { overwrite: true }), host: { ...there, run } }),
    ).rejects.toThrow();
    expect([readFileSync(target), readFileSync(`${target}-wal`)]).toEqual(before);
    expect(readdirSync(place.directory).filter((name) => name.includes('.before-'))).toEqual([]);
  });

  test('that is cancelled while files change places leaves a database there', async () => {
    const { source, contents } = await snapshot();
    const target = place.path('live.db');
    seedBank({ path: target });
    const stop = new AbortController();
    const run: Host['run'] = async (command) => {
      const process = await there.run(command);
      if (command.argv.join(' ').includes('mv -f')) process.exit.finally(() => stop.abort());
      return process;
    };
    const request = { ...ask(target, { overwrite: true }), host: { ...there, run } };
    await sqlite.restore({ ...source, signal: stop.signal }, contents, request).catch(() => undefined);
    expect(bankFaults(target)).toEqual([]);
  });

  test('replaces a damaged database, follows a symlink, and refuses what cannot be a target', async () => {
    const { source, contents } = await snapshot();
    mkdirSync(place.path('data'));
    writeFileSync(place.path('data/bad.db'), 'damaged beyond repair');
    symlinkSync(place.path('data/bad.db'), place.path('link.db'));
    await sqlite.restore(source, contents, ask(place.path('link.db'), { overwrite: true }));
    expect(bankFaults(place.path('data/bad.db'))).toEqual([]);
    for (const bad of ['relative.db', place.path('data'), place.path('absent/x.db')]) {
      await expect(sqlite.restore(source, contents, ask(bad))).rejects.toMatchObject({
        code: 'restore.target-invalid',
      });
    }
  });

  test('a stream that breaks leaves the target and its directory as they were', async () => {
    const { source, contents } = await snapshot();
    const target = place.path('live.db');
    seedBank({ path: target });
    const names = readdirSync(place.directory).toSorted();
    const bytes = readFileSync(target);
    const broken = {
      ...contents,
      // biome-ignore lint/correctness/useYield: a stream that ends before its first piece
      async *read(): AsyncGenerator<Uint8Array> {
        throw new Error('the storage is gone');
      },
    };
    await expect(sqlite.restore(source, broken, ask(target, { overwrite: true }))).rejects.toThrow(
      'the storage is gone',
    );
    expect(readdirSync(place.directory).toSorted()).toEqual(names);
    expect(readFileSync(target).equals(bytes)).toBe(true);
  });
});

test('goes to the place of a source that is named, on the host of that source', async () => {
  const { source, contents } = await snapshot();
  const named = sourceOf(farHost(host), { path: place.path('named.db') }, host);
  const request: RestoreRequest = { host, targetSource: named, dryRun: false, overwrite: false };
  const { steps } = await sqlite.restore(source, contents, request);
  expect(steps[0]).toContain('on far');
  expect(bankFaults(place.path('named.db'))).toEqual([]);
});

test('where no program can be run, a database is written where nothing is, and nothing else is touched', async () => {
  const { source, contents } = await snapshot();
  const filesOnly = farHost(host, { without: ['sh', 'mv', 'python3', 'sqlite3'] });
  const target = place.path('new.db');
  const { problems } = await sqlite.restore(source, contents, askOn(filesOnly, target));
  expect(problems).toEqual([]);
  expect(bankFaults(target)).toEqual([]);
  const again = sqlite.restore(source, contents, askOn(filesOnly, target, { overwrite: true }));
  await expect(again).rejects.toMatchObject({
    code: 'restore.target-invalid',
    message: expect.stringContaining('aside'),
  });
});

describe('drills', () => {
  const restored = (source: SourceContext<Settings>, contents: SnapshotContents, { directory }: Playground) =>
    sqlite.restoreThrowaway(source, contents, { directory, host: source.local });

  test('a restored throwaway answers questions, and is not changed by them', async () => {
    const { source, contents } = await snapshot();
    using throwaway = playground();
    await using copy = await restored(source, contents, throwaway);
    expect(await copy.query!("SELECT 1, NULL, x'00ff', 'a' UNION ALL SELECT 2, 3, 4, 5")).toBe(
      '1\t\t00ff\ta\n2\t3\t4\t5',
    );
    await expect(copy.query!('DELETE FROM account')).rejects.toThrow();
  });

  test('a restored throwaway gives every fact again', async () => {
    const { source, contents, fingerprint } = await snapshot();
    using throwaway = playground();
    await using copy = await restored(source, contents, throwaway);
    expect(copy.bytes).toBeGreaterThan(0);
    const checks = await copy.compare(fingerprint);
    expect(checks.map((check) => check.measure).filter((measure) => measure === 'checksum')).toHaveLength(4);
    expect(checks.filter((check) => !check.ok)).toEqual([]);
  });

  test('one changed value, a damaged page or an unknown algorithm fails the drill', async () => {
    const { source, contents, fingerprint } = await snapshot();
    const failedIn = async (change: (file: string) => void, expected = fingerprint) => {
      using throwaway = playground();
      await using copy = await restored(source, contents, throwaway);
      change(throwaway.path('bank.db'));
      return (await copy.compare(expected)).filter((check) => !check.ok);
    };
    const changed = await failedIn((file) => {
      using db = new DatabaseSync(file);
      db.exec('UPDATE account SET balance = balance + 1 WHERE id = 7');
    });
    expect(changed).toMatchObject([{ subject: 'table account', measure: 'checksum' }]);
    const moved = await failedIn((file) => {
      using db = new DatabaseSync(file);
      transfer(db, 1, Math.random);
    });
    expect(moved.map((check) => check.subject)).toContain('table ledger');
    expect(await failedIn(() => {}, { ...fingerprint!, algorithm: 'sqlite-rows-9' })).toHaveLength(1);
  });

  test('without a fingerprint integrity is what is checked', async () => {
    const { source, contents } = await snapshot();
    using throwaway = playground();
    await using copy = await restored(source, contents, throwaway);
    expect(await copy.compare(undefined)).toEqual([
      { subject: 'database', measure: 'integrity', expected: 'ok', found: 'ok', ok: true },
    ]);
  });
});
