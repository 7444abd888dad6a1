/** Random backup histories and retention rules: everything that makes two programs count periods differently. */
import fc from 'fast-check';
import type { Retention } from '../../src/model/policy.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** Zones with summer time in either half of the year, by half an hour, by none; and far from UTC on both sides. */
export const zones = [
  'UTC',
  'Europe/Madrid',
  'America/New_York',
  'Australia/Lord_Howe',
  'Asia/Kathmandu',
  'Pacific/Auckland',
  'America/Los_Angeles',
] as const;

const formats = new Map<string, Intl.DateTimeFormat>();

/** Minutes east of UTC. */
export function offsetIn(zone: string, epochMs: number): number {
  let format = formats.get(zone);
  if (!format) {
    format = new Intl.DateTimeFormat('en', { timeZone: zone, timeZoneName: 'longOffset', year: 'numeric' });
    formats.set(zone, format);
  }
  const name = format.formatToParts(epochMs).find((part) => part.type === 'timeZoneName')?.value ?? '';
  const match = /([+-])(\d\d):(\d\d)/.exec(name);
  if (!match) return 0;
  return (Number(match[2]) * 60 + Number(match[3])) * (match[1] === '-' ? -1 : 1);
}

/** RFC 3339 as a program in that zone writes it; `beyondMs` are further digits of the second's fraction. */
export function textIn(zone: string, epochMs: number, beyondMs = ''): string {
  const minutes = offsetIn(zone, epochMs);
  const pad = (n: number): string => String(n).padStart(2, '0');
  const size = Math.abs(minutes);
  const suffix = zone === 'UTC' ? 'Z' : `${minutes < 0 ? '-' : '+'}${pad(Math.floor(size / 60))}:${pad(size % 60)}`;
  return new Date(epochMs + minutes * 60_000).toISOString().replace('Z', beyondMs + suffix);
}

interface Made {
  readonly atMs: number;
  readonly zone: string;
  readonly beyondMs: string;
}

const zone = fc.constantFrom(...zones);
const start = fc.integer({ min: Date.UTC(2016, 0, 1), max: Date.UTC(2026, 5, 1) });

/** Back from a start in bursts within hours, days and months, in changing zones. */
const bursts = fc
  .tuple(
    start,
    fc.array(
      fc.record({
        step: fc.constantFrom(0, 0.001, 0.3, 1, 7, 24, 50, 170, 800, 4000),
        factor: fc.double({ min: 0.1, max: 1.9, noNaN: true }),
        zone,
        beyondMs: fc.constantFrom('', '', '000001', '5', '999999'),
      }),
      { minLength: 1, maxLength: 28 },
    ),
  )
  .map(([startMs, steps]) => {
    let atMs = startMs;
    return steps.map(({ step, factor, ...rest }): Made => {
      atMs -= Math.round(step * factor * hourMs);
      return { atMs, ...rest };
    });
  });

/** Some hours before the zone's next change to or from summer time; the instant itself if it has none within a year. */
function nearChange(at: string, fromMs: number, hoursBefore: number): number {
  for (let hour = 0; hour < 366 * 24; hour++) {
    const ms = fromMs + hour * hourMs;
    if (offsetIn(at, ms) !== offsetIn(at, ms - hourMs)) return ms - hoursBefore * hourMs;
  }
  return fromMs;
}

/** A schedule in one zone through a change to or from summer time: every n hours, or daily at the same time of day. */
const schedules = fc
  .record({
    zone,
    fromMs: fc.integer({ min: Date.UTC(2016, 0, 1), max: Date.UTC(2024, 0, 1) }),
    hoursBefore: fc.integer({ min: 1, max: 40 }),
    everyHours: fc.constantFrom(1, 1, 2, 6, 12, 24, 24, 168),
    count: fc.integer({ min: 5, max: 60 }),
  })
  .map(({ zone: at, fromMs, hoursBefore, everyHours, count }) => {
    const hourStartMs = Math.floor(fromMs / hourMs) * hourMs;
    const firstMs = nearChange(at, hourStartMs, hoursBefore) + hourMs / 2;
    return Array.from({ length: count }, (_, i): Made => {
      const atMs = firstMs + i * everyHours * hourMs;
      const dayTime = everyHours >= 24 ? (offsetIn(at, firstMs) - offsetIn(at, atMs)) * 60_000 : 0;
      return { atMs: atMs + dayTime, zone: at, beyondMs: '' };
    });
  });

/** The ends of months, weeks and years, to the second. */
const edges = fc
  .tuple(
    zone,
    fc.integer({ min: 2016, max: 2025 }),
    fc.array(fc.tuple(fc.integer({ min: 0, max: 14 }), fc.integer({ min: -1, max: 1 }), fc.nat(2)), {
      minLength: 1,
      maxLength: 24,
    }),
  )
  .map(([at, year, picks]) =>
    picks.map(([month, secondsAside, days]): Made => {
      const midnight = Date.UTC(year, month, 1) - days * dayMs;
      return { atMs: midnight - offsetIn(at, midnight) * 60_000 + secondsAside * 1000, zone: at, beyondMs: '' };
    }),
  );

/** Some have snapshots of the future, as a clock that was set wrongly makes them. */
const withFuture = fc
  .tuple(fc.oneof(bursts, schedules, edges), fc.option(fc.nat(3), { freq: 8 }))
  .map(([made, ahead]) =>
    ahead === null
      ? made
      : [
          ...made,
          ...Array.from({ length: ahead }, (_, i): Made => ({ atMs: Date.UTC(2031, i), zone: 'UTC', beyondMs: '' })),
        ],
  );

/** Times of snapshots as texts. Of equal instants all are written alike: which comes first is not defined. */
export const history: fc.Arbitrary<readonly string[]> = withFuture.map((made) => {
  const texts = new Map<string, string>();
  for (const { atMs, zone: at, beyondMs } of made) {
    const instant = `${atMs} ${beyondMs.padEnd(6, '0')}`;
    if (!texts.has(instant)) texts.set(instant, textIn(at, atMs, beyondMs));
  }
  return made.map(({ atMs, beyondMs }) => texts.get(`${atMs} ${beyondMs.padEnd(6, '0')}`)!);
});

const count = fc.option(fc.oneof(fc.integer({ min: 0, max: 8 }), fc.constantFrom(-1, 1, 2, 40)), {
  freq: 2,
  nil: undefined,
});
/** Parts of nothing are left out, as restic's reasons leave them out. */
const span = fc
  .tuple(
    fc.nat(2),
    fc.nat(14),
    fc.oneof(fc.nat(3), fc.nat(40)),
    fc.nat(50),
    fc.constantFrom(4, 4, 12, 1, 2, 3, 6, 7, 8, 9, 15),
  )
  .map(([years, months, days, hours, parts]) => {
    const all = [years, months, days, hours].map((size, i) => ((parts & (1 << i)) === 0 ? 0 : size));
    return all.map((size, i) => (size === 0 ? '' : `${size}${'ymdh'[i]}`)).join('') || '3d';
  });

/** Any mixture of counts and a span; it may be one that keeps nothing. */
export const rules: fc.Arbitrary<Retention> = fc.record({
  last: count,
  hourly: count,
  daily: count,
  weekly: count,
  monthly: count,
  yearly: count,
  within: fc.option(span, { freq: 2, nil: undefined }),
});
