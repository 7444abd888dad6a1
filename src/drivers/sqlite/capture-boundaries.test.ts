/** Across users, directories without write access, and containers. Only root can set these up. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { localHost } from '../../hosts/local/index.ts';
import { bankFaults, ledgerLength, seedBank, transfer } from './fixture.ts';
import { backUp, type Playground, playground, sourceOf, startWriter } from './fixture-run.ts';

const isRoot = process.getuid?.() === 0;
const nobody = 65534;
let place: Playground;
beforeEach(() => {
  place = playground();
  chmodSync(place.directory, 0o755);
});
afterEach(() => place[Symbol.dispose]());

/** Backs up as the user `nobody`, in a process of its own; gives its error's code or `ok`. */
function backUpAsNobody(path: string, to: string): { outcome: string; remedy: string } {
  const here = (file: string): string => JSON.stringify(new URL(file, import.meta.url).href);
  const script = `
    const { backUp, sourceOf } = await import(${here('./fixture-run.ts')});
    const { localHost } = await import(${here('../../hosts/local/index.ts')});
    const source = sourceOf(localHost(), { path: ${JSON.stringify(path)} });
    const said = await backUp(source, ${JSON.stringify(to)}).then(() => ({ outcome: 'ok', remedy: '' }), (e) => ({ outcome: e.code ?? String(e), remedy: e.remedy + e.message }));
    process.stdout.write(JSON.stringify(said));`;
  const ran = spawnSync(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', script],
    {
      uid: nobody,
      gid: nobody,
      encoding: 'utf8',
      env: { PATH: process.env.PATH },
    },
  );
  if (ran.status !== 0) throw new Error(ran.stderr);
  return JSON.parse(ran.stdout) as { outcome: string; remedy: string };
}

describe.skipIf(!isRoot)('a user who may read but not write', () => {
  let out: string;
  beforeEach(() => {
    out = mkdtempSync('/tmp/holdfast-sqlite-test-out-');
    chownSync(out, nobody, nobody);
    mkdirSync(place.path('source'), { mode: 0o755 });
  });
  afterEach(() => rmSync(out, { recursive: true, force: true }));

  test('copies a WAL database hot as long as its program has it open', async () => {
    const path = place.path('source/bank.db');
    seedBank({ path });
    const writer = await startWriter({ path, perSecond: 50 });
    const { outcome } = backUpAsNobody(path, `${out}/copy.db`);
    await writer.stop();
    expect(outcome).toBe('ok');
    expect(bankFaults(`${out}/copy.db`)).toEqual([]);
  });

  test('is told what is missing when nobody has it open, and leaves nothing behind', () => {
    const path = place.path('source/bank.db');
    seedBank({ path });
    const { outcome, remedy } = backUpAsNobody(path, `${out}/copy.db`);
    expect(outcome).toBe('source.unreadable');
    expect(remedy).toContain('write access');
    expect(existsSync(`${path}-shm`)).toBe(false);
  });

  test('is refused when only a stale wal-index of a crash is there: no lock can be held on it', () => {
    const path = place.path('source/bank.db');
    seedBank({ path: place.path('live.db') });
    {
      using db = new DatabaseSync(place.path('live.db'));
      transfer(db, 10, Math.random);
      for (const suffix of ['', '-wal', '-shm']) copyFileSync(`${place.path('live.db')}${suffix}`, `${path}${suffix}`);
    }
    const { outcome, remedy } = backUpAsNobody(path, `${out}/copy.db`);
    expect([outcome, remedy]).toEqual(['source.unsupported', expect.stringContaining('no read lock')]);
  });
});

test.skipIf(!isRoot)(
  'a writer in another pid and mount namespace, as a container is, is held off by the same locks',
  async () => {
    const path = place.path('bank.db');
    seedBank({ path });
    const program = fileURLToPath(new URL('./fixture-writer.ts', import.meta.url));
    const options = JSON.stringify({
      path,
      perSecond: 0,
      transfers: 5,
      checkpoints: ['PASSIVE', 'RESTART', 'TRUNCATE'],
      autocheckpoint: 50,
    });
    const isolated = ['--pid', '--fork', '--mount', '--mount-proc', '--ipc', '--uts'];
    const child = spawn(
      'unshare',
      [...isolated, process.execPath, '--disable-warning=ExperimentalWarning', program, options],
      {
        stdio: ['pipe', 'pipe', 'inherit'],
      },
    );
    await once(child.stdout, 'data');
    for (let i = 0; i < 5; i++) {
      await backUp(sourceOf(localHost(), { path }), place.path('copy.db'));
      expect(bankFaults(place.path('copy.db'))).toEqual([]);
      expect(ledgerLength(place.path('copy.db'))).toBeGreaterThan(0);
    }
    child.stdin.end();
    await once(child, 'close');
  },
);
