import { Cron } from 'croner';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { zoneOffsetMs } from '../base/clock.ts';
import { parseCron } from './cron.ts';
import { firingsAfter, firingsBetween, jitterOf, nextFiring, previousFiring, type Timing } from './firing-times.ts';

const cron = (text: string, timezone?: string): Timing => ({ kind: 'cron', cron: text, timezone });
const at = (text: string): number => Date.parse(text);
const show = (ms: number | undefined): string | undefined =>
  ms === undefined ? undefined : new Date(ms).toISOString();
function between(timing: Timing, from: string, to: string): string[] {
  return firingsBetween(timing, { afterMs: at(from) - 1, toMs: at(to), most: 1000 }).slots.map((ms) => show(ms)!);
}

describe('on the day in spring', () => {
  it('makes up for 02:30 when the gap is over', () => {
    expect(between(cron('30 2 * * *', 'Europe/Madrid'), '2026-03-28T00:00:00Z', '2026-03-31T00:00:00Z')).toEqual([
      '2026-03-28T01:30:00.000Z',
      '2026-03-29T01:00:00.000Z',
      '2026-03-30T00:30:00.000Z',
    ]);
  });

  it('makes up once for several times that do not exist, and once more for none that does', () => {
    const timing = cron('*/15 2,3 * * *', 'Europe/Madrid');
    expect(between(timing, '2026-03-29T00:00:00Z', '2026-03-29T03:00:00Z')).toEqual([
      '2026-03-29T01:00:00.000Z',
      '2026-03-29T01:15:00.000Z',
      '2026-03-29T01:30:00.000Z',
      '2026-03-29T01:45:00.000Z',
    ]);
  });

  it('has nothing to make up for where real hours are meant', () => {
    expect(between(cron('30 * * * *', 'Europe/Madrid'), '2026-03-29T00:00:00Z', '2026-03-29T02:59:00Z')).toEqual([
      '2026-03-29T00:30:00.000Z',
      '2026-03-29T01:30:00.000Z',
      '2026-03-29T02:30:00.000Z',
    ]);
  });

  it('knows gaps of half an hour, and at midnight', () => {
    expect(between(cron('15 2 * * *', 'Australia/Lord_Howe'), '2026-10-03T12:00:00Z', '2026-10-04T12:00:00Z')).toEqual([
      '2026-10-03T15:30:00.000Z',
    ]);
    // Chile goes from 24:00 to 01:00.
    expect(between(cron('10 0 * * *', 'America/Santiago'), '2026-09-05T00:00:00Z', '2026-09-07T00:00:00Z')).toEqual([
      '2026-09-05T04:10:00.000Z',
      '2026-09-06T04:00:00.000Z',
    ]);
  });
});

describe('on the day in autumn', () => {
  it('takes the first of two 02:30', () => {
    expect(between(cron('30 2 * * *', 'Europe/Madrid'), '2026-10-24T12:00:00Z', '2026-10-26T12:00:00Z')).toEqual([
      '2026-10-25T00:30:00.000Z',
      '2026-10-26T01:30:00.000Z',
    ]);
  });

  it('takes both where real hours are meant', () => {
    expect(between(cron('30 * * * *', 'Europe/Madrid'), '2026-10-25T00:00:00Z', '2026-10-25T02:00:00Z')).toEqual([
      '2026-10-25T00:30:00.000Z',
      '2026-10-25T01:30:00.000Z',
    ]);
  });
});

describe('intervals', () => {
  it('are counted from the epoch', () => {
    const timing: Timing = { kind: 'interval', everyMs: 6 * 3_600_000 };
    expect(show(nextFiring(timing, at('2026-11-21T13:37:00Z')))).toBe('2026-11-21T18:00:00.000Z');
    expect(show(nextFiring(timing, at('2026-11-21T18:00:00Z')))).toBe('2026-11-22T00:00:00.000Z');
    expect(show(previousFiring(timing, at('2026-11-21T18:00:00Z')))).toBe('2026-11-21T18:00:00.000Z');
  });
});

const zones = [
  'UTC',
  'Europe/Madrid',
  'America/New_York',
  'Australia/Lord_Howe',
  'Asia/Kolkata',
  'America/Santiago',
  'Pacific/Apia',
];
const field = (from: number, to: number): fc.Arbitrary<string> =>
  fc.oneof(
    fc.constant('*'),
    fc.integer({ min: from, max: to }).map(String),
    fc.integer({ min: 2, max: Math.min(20, to) }).map((step) => `*/${step}`),
    fc
      .tuple(fc.integer({ min: from, max: to }), fc.integer({ min: from, max: to }))
      .map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`),
  );
const anyCron = fc
  .tuple(field(0, 59), field(0, 23), field(1, 28), field(1, 12), field(0, 6))
  .map((fields) => fields.join(' '));
const anyMoment = fc.integer({ min: at('2024-01-01T00:00:00Z'), max: at('2028-01-01T00:00:00Z') });

/** Another way to the same: every minute of a while is asked what the clock on the wall shows. */
function byScan(text: string, zone: string, afterMs: number, minutes: number): number[] {
  const parsed = parseCron(text);
  if (typeof parsed === 'string') throw new Error(parsed);
  const wanted = new Set(parsed.minutes);
  const format = new Intl.DateTimeFormat('en-GB', {
    timeZone: zone,
    ...({
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      hourCycle: 'h23',
    } as const),
  });
  const wall = (ms: number): number => {
    const parts = new Map(format.formatToParts(ms).map((one) => [one.type, Number(one.value)]));
    return Date.UTC(
      parts.get('year')!,
      parts.get('month')! - 1,
      parts.get('day'),
      parts.get('hour'),
      parts.get('minute'),
    );
  };
  const matches = (wallMs: number): boolean => {
    const day = new Date(wallMs);
    return (
      parsed.onDay(day.getUTCMonth() + 1, day.getUTCDate(), day.getUTCDay()) &&
      wanted.has(day.getUTCHours() * 60 + day.getUTCMinutes())
    );
  };
  const found: number[] = [];
  // From a day before, so that what was shown twice is known.
  let highest = Number.NEGATIVE_INFINITY;
  const first = Math.ceil((afterMs + 1) / 60_000) * 60_000;
  for (let ms = first - 1440 * 60_000, last = wall(ms) - 60_000; ms < first + minutes * 60_000; ms += 60_000) {
    const shown = wall(ms);
    let fires = parsed.everyHour ? matches(shown) : shown > highest && matches(shown);
    if (!parsed.everyHour)
      for (let skipped = last + 60_000; skipped < shown; skipped += 60_000) fires ||= matches(skipped);
    if (fires && ms >= first) found.push(ms);
    highest = Math.max(highest, shown);
    last = shown;
  }
  return found;
}

describe('any cron in any zone', () => {
  it('fires exactly when the wall clock says so, minute by minute, over days on which the clock changes', () => {
    const changes = [
      '2026-03-28T12:00:00Z',
      '2026-10-24T12:00:00Z',
      '2026-03-07T20:00:00Z',
      '2026-10-31T20:00:00Z',
      '2026-04-04T06:00:00Z',
      '2026-10-03T06:00:00Z',
      '2026-09-05T12:00:00Z',
    ];
    fc.assert(
      fc.property(anyCron, fc.constantFrom(...zones), fc.constantFrom(...changes), (text, zone, start) => {
        fc.pre(typeof parseCron(text) !== 'string');
        const expected = byScan(text, zone, at(start), 36 * 60);
        const { slots } = firingsBetween(cron(text, zone), {
          afterMs: at(start),
          toMs: at(start) + 36 * 3_600_000 - 1,
          most: 5000,
        });
        expect(slots.map(show)).toEqual(expected.filter((ms) => ms < at(start) + 36 * 3_600_000).map(show));
      }),
      { numRuns: Number(process.env.CRONS ?? 60) },
    );
  });

  it('ascends, and looking back finds what looking ahead found', () => {
    fc.assert(
      fc.property(anyCron, fc.constantFrom(...zones), anyMoment, (text, zone, afterMs) => {
        fc.pre(typeof parseCron(text) !== 'string');
        const timing = cron(text, zone);
        const some: number[] = [];
        for (const slot of firingsAfter(timing, afterMs)) if (some.push(slot) === 4) break;
        expect(some.every((slot, i) => slot > (some[i - 1] ?? afterMs))).toBe(true);
        for (const [i, slot] of some.entries()) {
          expect(previousFiring(timing, slot)).toBe(slot);
          if (i > 0) expect(previousFiring(timing, slot - 1)).toBe(some[i - 1]);
        }
      }),
      { numRuns: 200 },
    );
  });

  it('fires on every day of a year once if it is daily, wherever and whenever', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 1439 }),
        fc.constantFrom(...zones.filter((zone) => zone !== 'Pacific/Apia')),
        (minute, zone) => {
          const timing = cron(`${minute % 60} ${Math.floor(minute / 60)} * * *`, zone);
          const { slots } = firingsBetween(timing, {
            afterMs: at('2025-12-31T00:00:00Z'),
            toMs: at('2026-12-31T00:00:00Z') - 1,
            most: 1000,
          });
          expect([365, 364, 366]).toContain(slots.length);
          const days = slots.map((ms) => new Intl.DateTimeFormat('en-CA', { timeZone: zone }).format(ms));
          expect(new Set(days).size).toBe(days.length);
        },
      ),
      { numRuns: 30 },
    );
  });
});

/** Where it means something else (both day fields given, hours on the days of change), it is not asked. */
it('agrees with another implementation on days on which the clock does not change', () => {
  fc.assert(
    fc.property(anyCron, fc.constantFrom(...zones), anyMoment, (text, zone, afterMs) => {
      const fields = text.split(' ');
      fc.pre(typeof parseCron(text) !== 'string' && (fields[2] === '*' || fields[4] === '*'));
      const ours = nextFiring(cron(text, zone), afterMs);
      const theirs = new Cron(text, { timezone: zone, paused: true }).nextRun(new Date(afterMs))?.getTime();
      const at = Math.min(ours ?? 0, theirs ?? 0);
      const offsets = [-36, 0, 36].map((hours) => zoneOffsetMs(at + hours * 3_600_000, zone));
      fc.pre(new Set(offsets).size === 1);
      expect(show(ours)).toBe(show(theirs));
    }),
    { numRuns: Number(process.env.CRONS ?? 150) },
  );
});

describe('jitter', () => {
  it('is the same for the same slot, within its limit, and spread', () => {
    const some = Array.from({ length: 1000 }, (_, i) => jitterOf(`backup/nightly/s${i}`, 1_000_000, 300_000));
    expect(some).toEqual(Array.from({ length: 1000 }, (_, i) => jitterOf(`backup/nightly/s${i}`, 1_000_000, 300_000)));
    expect(Math.min(...some)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...some)).toBeLessThanOrEqual(300_000);
    expect(some.reduce((sum, one) => sum + one, 0) / 1000).toBeGreaterThan(130_000);
    expect(jitterOf('x', 5, 0)).toBe(0);
  });
});

it('gives the last of very many, and says how many came before', () => {
  const timing: Timing = { kind: 'interval', everyMs: 60_000 };
  const { slots, before } = firingsBetween(timing, { afterMs: 0, toMs: 600_000_000, most: 10 });
  expect(slots).toHaveLength(10);
  expect(slots.at(-1)).toBe(600_000_000);
  expect(before).toBe(9990);
});
