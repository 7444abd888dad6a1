/** Several processes at once, processes that die, catalogues of other versions. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Catalogue, type CatalogueAddress, openCatalogue } from '../../src/catalogue/open.ts';
import { countRuns } from '../../src/catalogue/run-list.ts';
import { claimRun, closeLostRuns, finishRun, getRun, insertRun, type NewRun } from '../../src/catalogue/runs.ts';
import { type CataloguePlace, cataloguePlaces } from '../support/catalogues.ts';

const program = fileURLToPath(new URL('../support/catalogue-process.ts', import.meta.url));
const run: NewRun = { kind: 'backup', source: 'shop', host: 'local', trigger: 'manual', askedBy: 'test' };
const kills = Number(process.env.CATALOGUE_KILLS ?? 2);

/** Its lines; rejects if it does not end as `ending` says. */
function start(
  address: CatalogueAddress,
  verb: string,
): { child: ChildProcess; lines: string[]; ended: Promise<unknown> } {
  const child = spawn(process.execPath, [program, JSON.stringify(address), verb], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines: string[] = [];
  createInterface({ input: child.stdout! }).on('line', (line) => lines.push(line));
  return { child, lines, ended: once(child, 'close').then(([status, signal]) => status ?? signal) };
}

describe.each(cataloguePlaces)('in $title', ({ title, make }) => {
  let place: CataloguePlace;
  beforeAll(async () => {
    place = await make();
  });
  afterAll(async () => await place?.[Symbol.asyncDispose]());

  test('several processes that start at once make the tables once', async () => {
    const address = await place.address();
    const opened = Array.from({ length: 4 }, () => start(address, 'open').ended);
    expect(await Promise.all(opened)).toEqual([0, 0, 0, 0]);
    const catalogue = await place.open(address);
    const { rows } = await sql<{ name: string }>`select name from kysely_migration`.execute(catalogue.db);
    expect(rows).toHaveLength(new Set(rows.map((row) => row.name)).size);
    expect(await countRuns(catalogue)).toMatchObject({ queued: 0 });
  });

  test('one that a newer version made is left alone', async () => {
    const address = await place.address();
    const catalogue = await place.open(address);
    await sql`insert into kysely_migration (name, timestamp) values ('9999-later', '2099-01-01')`.execute(catalogue.db);
    await expect(openCatalogue(address, Date.now)).rejects.toMatchObject({ code: 'catalogue.newer' });
    const { rows } = await sql`select name from kysely_migration`.execute(catalogue.db);
    expect(rows).toContainEqual({ name: '9999-later' });
  });

  test('eight claimers of two hundred runs get each once, and one outcome counts', async () => {
    const address = await place.address();
    const claimers: Catalogue[] = [];
    for (let i = 0; i < 8; i++) claimers.push(await place.open(address));
    const ids: string[] = [];
    for (let i = 0; i < 200; i++) ids.push((await insertRun(claimers[i % 8], run)).id);
    const claimed = await Promise.all(
      claimers.map(async (catalogue, i) => {
        const mine: { id: string; fence: number }[] = [];
        // Each begins elsewhere, so that all meet all.
        for (let at = 0; at < ids.length; at++) {
          const got = await claimRun(catalogue, { id: ids[(at + i * 25) % 200], worker: `w${i}`, leaseMs: 60_000 });
          if (got) mine.push({ id: got.run.id, fence: got.fence });
        }
        return mine;
      }),
    );
    const all = claimed.flat();
    expect(all.map((one) => one.id).toSorted((a, b) => (a < b ? -1 : 1))).toEqual(
      ids.toSorted((a, b) => (a < b ? -1 : 1)),
    );
    const outcome = { state: 'succeeded' } as const;
    for (const [i, { id, fence }] of all.entries()) {
      const catalogue = claimers[i % 8];
      // With another fence, only at a few: it is the same statement.
      if (i % 10 === 0) {
        const old = await finishRun(catalogue, { id, fence: fence - 1, outcome, events: [] });
        expect(old).toBeUndefined();
      }
      expect(await finishRun(catalogue, { id, fence, outcome, events: [] })).toMatchObject({ id, state: 'succeeded' });
    }
    expect(await countRuns(claimers[0])).toMatchObject({ queued: 0, running: 0, succeeded: 200 });
  });

  test('of closing a lost run and finishing it at the same moment one counts', async () => {
    const address = await place.address();
    const [holder, leader] = [await place.open(address), await place.open(address)];
    for (let i = 0; i < 12; i++) {
      const { id } = await insertRun(holder, run);
      const { fence } = (await claimRun(holder, { id, worker: 'w', leaseMs: -1000 }))!;
      const events = [{ type: 'backup.succeeded', title: 'done' }] as const;
      const [finished, closed] = await Promise.all([
        finishRun(holder, { id, fence, outcome: { state: 'succeeded' }, events }),
        closeLostRuns(leader),
      ]);
      expect([finished !== undefined, closed.length > 0]).toSatisfy(([a, b]: boolean[]) => a !== b);
      expect((await getRun(leader, id))?.state).toBe(finished ? 'succeeded' : 'failed');
      const told = await leader.db.selectFrom('happening').select('type').where('run', '=', id).execute();
      expect(told).toEqual([{ type: finished ? 'backup.succeeded' : 'run.lost' }]);
    }
  });

  test.runIf(title === 'SQLite')(
    'a writer that is killed leaves a sound file, with all that was said to be done',
    async () => {
      const address = await place.address();
      for (let kill = 0; kill < kills; kill++) {
        const writers = [start(address, 'write'), start(address, 'write')];
        const said = (): string[] => writers.flatMap(({ lines }) => lines.filter((line) => line.length === 26));
        while (said().length < 10 + kill * 7) await new Promise((resolve) => setTimeout(resolve, 3));
        for (const { child } of writers) child.kill('SIGKILL');
        for (const { ended } of writers) expect(await ended).toBe('SIGKILL');
        await using catalogue = await openCatalogue(address, Date.now);
        const { rows } = await sql<{ integrityCheck: string }>`pragma integrity_check`.execute(catalogue.db);
        expect(rows).toEqual([{ integrityCheck: 'ok' }]);
        for (const id of said()) {
          expect((await getRun(catalogue, id))?.state).toBe('succeeded');
          const told = await catalogue.db.selectFrom('happening').select('type').where('run', '=', id).execute();
          expect(told).toHaveLength(1);
        }
        const ended = await sql<{ count: number }>`
        select count(*) as count from run where state = 'succeeded' and id not in (select run from happening)
      `.execute(catalogue.db);
        expect(ended.rows).toEqual([{ count: 0 }]);
      }
    },
  );
});
