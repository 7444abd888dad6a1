/**
 * Thousands of random histories and rules, decided by restic and by us: the same snapshots stay, for the same reasons.
 * Many histories lie in one repository as different hosts, so that one call of restic decides about all of them.
 * `HISTORIES` is how many, `SEED` makes other ones.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { Secret } from '../../src/base/secrets.ts';
import type { Retention } from '../../src/model/policy.ts';
import { applyRetention, type DatedSnapshot, isEmptyRetention } from '../../src/policy/retention.ts';
import { snapshotTimeMs } from '../../src/repository/format/snapshot.ts';
import { initRepository, saveSnapshot } from '../../src/repository/index.ts';
import { type MemoryPlace, memoryStorage } from '../../src/storage/memory.ts';
import { history, offsetIn, rules } from '../support/random-histories.ts';

const histories = Number(process.env.HISTORIES ?? 300);
const seed = Number(process.env.SEED ?? 23);
const historiesAtOnce = 150;
const rulesEach = 8;
/** Snapshots were made in some of these zones and not in others: restic reckons in its own zone where it can. */
const resticZones = ['Pacific/Marquesas', 'Europe/Madrid', 'UTC', 'America/New_York'];

const base = mkdtempSync(join(tmpdir(), 'holdfast-retention-'));
afterAll(() => rmSync(base, { recursive: true }));

type Group = readonly DatedSnapshot[];

/** A repository of snapshots of nothing, one host for each history. */
async function storeHistories(place: string, all: readonly (readonly string[])[]): Promise<Map<string, Group>> {
  const memory: MemoryPlace = new Map();
  const groups = new Map<string, Group>();
  const kdf = { N: 1024, r: 8, p: 1 };
  await using repository = await initRepository({
    storage: memoryStorage(memory),
    password: new Secret('a password'),
    kdf,
  });
  for (const [i, times] of all.entries()) {
    const group: DatedSnapshot[] = [];
    for (const time of times) {
      const snapshot = { time, tree: '0'.repeat(64), paths: ['/srv'], hostname: `h${i}`, tags: [] };
      group.push({ id: await saveSnapshot(repository, snapshot), time, timeMs: snapshotTimeMs(snapshot) });
    }
    groups.set(`h${i}`, group);
  }
  for (const folder of ['data', 'index', 'locks', 'snapshots']) mkdirSync(join(place, folder), { recursive: true });
  for (const [name, bytes] of memory) {
    mkdirSync(dirname(join(place, name)), { recursive: true });
    writeFileSync(join(place, name), bytes);
  }
  return groups;
}

interface ResticGroup {
  readonly host: string;
  readonly keep: readonly { readonly id: string; readonly time: string }[] | null;
  readonly remove: readonly { readonly id: string; readonly time: string }[] | null;
  readonly reasons:
    | readonly { readonly snapshot: { readonly time: string }; readonly matches: readonly string[] }[]
    | null;
}

function argumentsFor(keep: Retention): string[] {
  return Object.entries(keep).flatMap(([rule, value]) =>
    value === undefined ? [] : [`--keep-${rule}`, value === -1 ? 'unlimited' : String(value)],
  );
}

function askRestic(place: string, keep: Retention, zone: string): ResticGroup[] {
  const given = ['-r', place, '--no-cache', '--no-lock', 'forget', '--dry-run', '--json', '--group-by', 'host'];
  const args = [...given, ...argumentsFor(keep)];
  const env = { ...process.env, RESTIC_PASSWORD: 'a password', TZ: zone };
  const stdio = ['ignore', 'pipe', 'pipe'] as const;
  const text = execFileSync('restic-new', args, { encoding: 'utf8', env, stdio: [...stdio], maxBuffer: 1 << 28 });
  return JSON.parse(text) as ResticGroup[];
}

/** Of snapshots with equal times it is not defined which one stays, only how many and why: so they are told apart by time. */
function said(decisions: readonly { time: string; reasons: readonly string[] }[]): string[] {
  return decisions.map(({ time, reasons }) => `${time} ${reasons.toSorted().join(', ')}`).sort();
}

function ours(group: Group, keep: Retention, zone: string): string[] {
  const localOffsetMinutes = (epochMs: number): number => offsetIn(zone, epochMs);
  const decided = applyRetention(group, keep, { nowMs: systemClock.nowMs(), localOffsetMinutes });
  return said(decided.filter((one) => one.keep).map(({ snapshot, reasons }) => ({ time: snapshot.time, reasons })));
}

function theirs(one: ResticGroup, group: Group): string[] {
  const times = new Map(group.map(({ id, time }) => [id, time]));
  return said((one.keep ?? []).map(({ id }, i) => ({ time: times.get(id)!, reasons: one.reasons![i].matches })));
}

test(`restic keeps the same snapshots of ${histories} random histories for the same reasons`, async () => {
  const counts = { histories: 0, snapshots: 0, decisions: 0, kept: 0 };
  for (let batch = 0; counts.histories < histories; batch++) {
    const numRuns = Math.min(historiesAtOnce, histories - counts.histories);
    const place = join(base, String(batch));
    const groups = await storeHistories(place, fc.sample(history, { numRuns, seed: seed + batch }));
    const chosen = fc
      .sample(rules, { numRuns: rulesEach * 2, seed: seed + batch })
      .filter((one) => !isEmptyRetention(one));
    for (const [i, keep] of chosen.slice(0, rulesEach).entries()) {
      const zone = resticZones[(batch + i) % resticZones.length];
      const decided = askRestic(place, keep, zone);
      expect(decided).toHaveLength(groups.size);
      for (const one of decided) {
        const group = groups.get(one.host)!;
        const kept = ours(group, keep, zone);
        expect(kept, `${JSON.stringify(keep)} in ${zone}`).toEqual(theirs(one, group));
        counts.decisions += group.length;
        counts.kept += kept.length;
      }
    }
    counts.histories += groups.size;
    for (const group of groups.values()) counts.snapshots += group.length;
    rmSync(place, { recursive: true });
  }
  process.stderr.write(`retention: ${JSON.stringify(counts)}\n`);
  expect(counts.kept).toBeLessThan(counts.decisions);
});
