/** The same histories and rules, decided by restic and by us: the same snapshots stay, for the same reasons. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { Secret } from '../../src/base/secrets.ts';
import type { Retention } from '../../src/model/policy.ts';
import type { StoredSnapshot } from '../../src/model/snapshot.ts';
import { applyRetention } from '../../src/policy/retention.ts';
import { initRepository, listSnapshots, saveSnapshot } from '../../src/repository/index.ts';
import { localStorage } from '../../src/storage/local/index.ts';
import { openStorage } from '../../src/storage/open.ts';

const base = mkdtempSync(join(tmpdir(), 'holdfast-retention-'));
afterAll(() => rmSync(base, { recursive: true }));

const zones = ['Z', '+02:00', '-08:00', '+05:45', '+13:00'];
const hourMs = 3_600_000;

/** RFC 3339 of an instant in a zone. */
function inZone(epochMs: number, zone: string): string {
  const match = /([+-])(\d\d):(\d\d)/.exec(zone);
  const minutes = match ? (Number(match[2]) * 60 + Number(match[3])) * (match[1] === '-' ? -1 : 1) : 0;
  return new Date(epochMs + minutes * 60_000).toISOString().replace('Z', zone);
}

/** Bursts within hours, days and months, back from a start: every kind of bucket gets several members. */
const history = fc
  .record({
    startMs: fc.integer({ min: Date.UTC(2019, 0, 1), max: Date.UTC(2026, 0, 1) }),
    steps: fc.array(
      fc.tuple(fc.constantFrom(0.3, 1, 7, 24, 50, 170, 800, 4000), fc.double({ min: 0.1, max: 1.9, noNaN: true })),
      {
        minLength: 20,
        maxLength: 28,
      },
    ),
    zonesUsed: fc.array(fc.constantFrom(...zones), { minLength: 28, maxLength: 28 }),
  })
  .map(({ startMs, steps, zonesUsed }) => {
    let atMs = startMs;
    return steps.map(([step, factor], i) => {
      atMs -= Math.max(1, Math.round(step * factor * hourMs));
      return inZone(atMs, zonesUsed[i]);
    });
  });

const rules: readonly Retention[] = [
  { last: 3, daily: 4, weekly: 3, monthly: 2, yearly: 2 },
  { hourly: 6, daily: 30 },
  { within: '1y5m7d2h' },
  { within: '40d', yearly: -1 },
  { weekly: -1, last: 1 },
  { monthly: 5, yearly: 1, hourly: 2 },
];

function argumentsFor(keep: Retention): string[] {
  return Object.entries(keep).flatMap(([rule, value]) => [
    `--keep-${rule}`,
    value === -1 ? 'unlimited' : String(value),
  ]);
}

async function storeHistory(place: string, times: readonly string[]): Promise<StoredSnapshot[]> {
  const storage = await openStorage([localStorage], place, { create: true });
  await using repository = await initRepository({ storage, password: new Secret('a password') });
  for (const time of times) {
    await saveSnapshot(repository, { time, tree: '0'.repeat(64), paths: ['/srv'], hostname: 'box', tags: [] });
  }
  return await listSnapshots(repository);
}

interface ResticGroup {
  readonly keep: readonly { readonly id: string }[];
  readonly reasons: readonly { readonly snapshot: { readonly time: string }; readonly matches: readonly string[] }[];
}

function askRestic(place: string, keep: Retention): Map<string, readonly string[]> {
  const args = [
    '-r',
    place,
    '--no-cache',
    '--no-lock',
    'forget',
    '--dry-run',
    '--json',
    '--group-by',
    '',
    ...argumentsFor(keep),
  ];
  // In a zone of its own no snapshot is local, so that calendars follow each snapshot's own zone alone.
  const env = { ...process.env, RESTIC_PASSWORD: 'a password', TZ: 'Pacific/Marquesas' };
  const text = execFileSync('restic-0.19', args, { encoding: 'utf8', env, stdio: ['ignore', 'pipe', 'ignore'] });
  const [group] = JSON.parse(text) as ResticGroup[];
  return new Map(group.keep.map(({ id }, i) => [id, group.reasons[i].matches]));
}

test('restic keeps the same snapshots for the same reasons', async () => {
  const histories = fc.sample(history, { numRuns: 2, seed: 23 });
  for (const [i, times] of histories.entries()) {
    const place = join(base, String(i));
    const snapshots = await storeHistory(place, times);
    for (const keep of rules) {
      const ours = applyRetention(snapshots, keep, { nowMs: systemClock.nowMs() }).filter((one) => one.keep);
      const kept = new Map(ours.map(({ snapshot, reasons }) => [snapshot.id, new Set(reasons)]));
      const theirs = new Map([...askRestic(place, keep)].map(([id, reasons]) => [id, new Set(reasons)]));
      expect(kept, JSON.stringify(keep)).toEqual(theirs);
    }
  }
});
