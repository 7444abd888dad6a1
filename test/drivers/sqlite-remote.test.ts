/**
 * SQLite databases on other hosts while programs write to them: every copy is one moment of the bank, or refused. COPIES
 * says how many are made in each way.
 */
import { createWriteStream, existsSync, readdirSync } from 'node:fs';
import { finished } from 'node:stream/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bankFaults, seedBank } from '../../src/drivers/sqlite/fixture.ts';
import { backUp, contentsOf, playground, sourceOf } from '../../src/drivers/sqlite/fixture-run.ts';
import { type Torture, type TortureReport, torture } from '../../src/drivers/sqlite/fixture-torture.ts';
import { sqlite } from '../../src/drivers/sqlite/index.ts';
import { farHost } from '../../src/drivers/sqlite/remote/fixture-far.ts';
import { docker } from '../../src/hosts/docker/index.ts';
import type { Host } from '../../src/hosts/host.ts';
import { localHost } from '../../src/hosts/local/index.ts';
import { sshHost } from '../../src/hosts/ssh/index.ts';
import { type Podman, startPodman } from '../servers/podman.ts';
import { type Sshd, startSshd } from '../servers/sshd.ts';
import { settingsOf, tools } from '../support/ssh-hosts.ts';

const copies = Number(process.env.COPIES ?? 1);
const local = localHost();
const here = 'this machine under another name';
const everyCheckpoint = ['PASSIVE', 'FULL', 'RESTART', 'TRUNCATE'] as const;
const restless = {
  ...{ perSecond: 0, transfers: 20, autocheckpoint: 50 },
  checkpoints: everyCheckpoint,
  synchronous: 'OFF',
} as const;
const paced = { perSecond: 60, transfers: 3, autocheckpoint: 1000, synchronous: 'OFF' } as const;

let sshd: Sshd;
let filesOnly: Sshd;
let podman: Podman;
const hosts = new Map<string, Host>();

beforeAll(async () => {
  hosts.set(here, farHost(local));
  sshd = await startSshd();
  hosts.set('SSH', await sshHost.open('ssh', settingsOf(sshd), tools()));
  filesOnly = await startSshd({ config: ['ForceCommand internal-sftp'] });
  hosts.set('SSH for files only', await sshHost.open('sftp', settingsOf(filesOnly), tools()));
  podman = await startPodman({ hostPrograms: true });
  const images = { debian: await podman.importHostImage(), busybox: await podman.importBusyboxImage() };
  for (const [name, image] of Object.entries(images)) {
    const options = ['--detach', '--name', name, '--network', 'none', '--volume', '/tmp:/tmp'];
    await podman.command('run', ...options, image, 'sleep', '100000');
    hosts.set(`a container of ${name}`, await docker.open(name, { docker: name, socket: podman.socketPath }, tools()));
  }
});

afterAll(async () => {
  for (const host of hosts.values()) await host.close();
  for (const server of [sshd, filesOnly, podman]) await server?.[Symbol.asyncDispose]();
});

function judge(name: string, report: TortureReport): void {
  const { copies: made, busy, bad, overlaid, commits } = report;
  console.log(
    `${name}: ${made} copies, ${bad.length} bad, ${busy} refused, ${overlaid} with a log, ${commits} commits`,
  );
  expect(bad).toEqual([]);
  expect(made + busy).toBe(copies);
}

async function tortured(name: string, plan: Pick<Torture, 'journal' | 'writers'> & Partial<Torture>) {
  const report = await torture(hosts.get(name)!, { copies, blobs: 1500, local, ...plan });
  judge(`${name}, ${JSON.stringify(plan.settings)}, ${plan.journal}`, report);
  return report;
}

describe.each([here, 'SSH', 'a container of debian'])('held by a program: %s', (name) => {
  test.each(['python3', 'sqlite3'] as const)(
    'copies under writers that never rest are each one moment of the bank: %s',
    async (hold) => {
      const second = { ...restless, transfers: 3, autocheckpoint: 20, checkpoints: [] };
      const report = await tortured(name, { journal: 'wal', writers: [restless, second], settings: { hold } });
      expect(report.copies).toBeGreaterThan(0);
    },
  );
});

describe.each([here, 'SSH'])('held by a program, with a rollback journal: %s', (name) => {
  test.each(['python3', 'sqlite3'] as const)('copies are each one moment of the bank, or refused: %s', async (hold) => {
    await tortured(name, { journal: 'delete', writers: [paced], settings: { hold, maxWriterPauseMs: 5000 } });
  });
});

describe.each([here, 'SSH', 'SSH for files only', 'a container of busybox'])('without a lock: %s', (name) => {
  test('copies succeed however much is written meanwhile, as long as the log is not restarted', async () => {
    const writers = [{ ...paced, autocheckpoint: 1_000_000 }];
    const report = await tortured(name, { journal: 'wal', writers, settings: { hold: 'none', attempts: 1 } });
    expect(report).toMatchObject({ copies, busy: 0, overlaid: copies });
  });
});

describe.each([here, 'SSH for files only'])('without a lock, each one moment of the bank, or refused: %s', (name) => {
  test('copies under writers that never rest', async () => {
    const settings = { hold: 'none', attempts: 2 } as const;
    await tortured(name, { journal: 'wal', writers: [restless], settings });
  });

  test('copies under checkpoints that follow each other', async () => {
    const writers = [{ ...paced, perSecond: 40, autocheckpoint: 150, checkpoints: ['PASSIVE'] as const }];
    await tortured(name, { journal: 'wal', writers, settings: { hold: 'none', attempts: 4 } });
  });

  test('copies in rollback mode', async () => {
    const writers = [{ ...paced, perSecond: 2 }];
    await tortured(name, { journal: 'delete', writers, settings: { hold: 'none', attempts: 2 } });
  });
});

test.each(['SSH', 'SSH for files only', 'a container of busybox'])(
  'a database is put back where it was, and beside it: %s',
  async (name) => {
    const host = hosts.get(name)!;
    using place = playground();
    const path = place.path('bank.db');
    seedBank({ path });
    const source = sourceOf(host, { path, hold: 'none' }, local);
    await backUp(source, place.path('stored'));
    const contents = contentsOf(place.path('stored'), path);
    const target = place.path('copy.db');
    const request = { host, dryRun: false, overwrite: true };
    expect((await sqlite.restore(source, contents, { ...request, target })).files).toBe(1);
    expect(bankFaults(target)).toEqual([]);
    expect(readdirSync(place.directory).filter((found) => found.startsWith('.'))).toEqual([]);
    const back = sqlite.restore(source, contents, request);
    if (name === 'SSH for files only') {
      await expect(back).rejects.toMatchObject({ code: 'restore.target-invalid' });
    } else {
      await back;
      expect(readdirSync(place.directory).some((found) => found.startsWith('bank.db.before-'))).toBe(true);
    }
    expect(bankFaults(path)).toEqual([]);
  },
);

// The control: if a copy of the files as they come never came out torn, the tests above would prove nothing.
test.each([here, 'SSH'])('the same writers do tear a plain copy of the files: %s', async (name) => {
  const host = hosts.get(name)!;
  const bad: string[] = [];
  for (let round = 0; round < 10 && bad.length === 0; round++) {
    const report = await torture(host, {
      copies: 5,
      journal: 'wal',
      blobs: 4000,
      writers: [restless],
      copy: async (path, to) => {
        for (const suffix of ['', '-wal'])
          if (existsSync(path + suffix)) await plainCopy(host, path + suffix, to + suffix);
      },
    });
    bad.push(...report.bad);
  }
  expect(bad.length).toBeGreaterThan(0);
});

async function plainCopy(host: Host, path: string, to: string): Promise<void> {
  const reader = await host.files.open(path);
  const out = createWriteStream(to);
  for (;;) {
    const buffer = Buffer.alloc(256 * 1024);
    const count = await reader.read(buffer);
    if (count === 0) break;
    out.write(buffer.subarray(0, count));
  }
  await reader.close();
  out.end();
  await finished(out);
}
