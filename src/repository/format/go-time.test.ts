import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { goTimeFormatter, goTimeNs, goTimeText } from './go-time.ts';

const second = 1_000_000_000n;
/** Years 0 to 9999. */
const anyTime = fc.bigInt({ min: -62_167_219_200n * second, max: 253_402_300_800n * second - 1n });
const someTime = fc.oneof(
  anyTime,
  anyTime.map((ns) => ns - (ns % second)),
  fc.bigInt({ min: -2n * second, max: 2n * second }),
);

let zone: string | undefined;
beforeEach(() => {
  zone = process.env.TZ;
});
afterEach(() => {
  if (zone === undefined) delete process.env.TZ;
  else process.env.TZ = zone;
});

describe('times as Go writes them', () => {
  test.each(['UTC', 'Europe/Berlin', 'America/St_Johns', 'Asia/Kathmandu', 'Pacific/Apia'])(
    'name the same moment in %s',
    (name) => {
      process.env.TZ = name;
      const format = goTimeFormatter();
      // A day inside: at the edges the local year is outside what can be written.
      const inside = someTime.map((ns) => (ns < 0n ? ns + 86_400n * second : ns - 86_400n * second));
      fc.assert(
        fc.property(inside, (ns) => {
          const text = format(ns);
          expect(goTimeNs(text, 'it')).toBe(ns);
          expect(goTimeText(text)).toBe(text);
          const whole = ns - (((ns % second) + second) % second);
          expect(Date.parse(text.replace(/\.\d+/, ''))).toBe(Number(whole / 1_000_000n));
        }),
        { numRuns: 500 },
      );
    },
  );

  test('show the local clock, also where summer time begins at one minute past midnight', () => {
    process.env.TZ = 'America/St_Johns';
    const format = goTimeFormatter();
    const at = (text: string): string => format(goTimeNs(text, 'it'));
    expect(at('2010-03-14T03:30:59Z')).toBe('2010-03-14T00:00:59-03:30');
    expect(at('2010-03-14T03:31:00Z')).toBe('2010-03-14T01:01:00-02:30');
    expect(at('2026-07-01T12:00:00.000000001Z')).toBe('2026-07-01T09:30:00.000000001-02:30');
  });

  test.each([
    [0n, '1970-01-01T00:00:00Z'],
    [-1n, '1969-12-31T23:59:59.999999999Z'],
    [1_500_000_000n, '1970-01-01T00:00:01.5Z'],
    [120n * 1_000_000n, '1970-01-01T00:00:00.12Z'],
    [951_782_400n * second, '2000-02-29T00:00:00Z'],
    [253_402_300_800n * second, '9999-01-01T00:00:00Z'],
    [-62_167_219_201n * second, '0000-12-31T23:59:59Z'],
    [10n ** 40n, expect.stringMatching(/^9999-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)],
    [-(10n ** 40n), expect.stringMatching(/^0000-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)],
  ])('%s ns is %s', (ns, text) => {
    process.env.TZ = 'UTC';
    expect(goTimeFormatter()(ns)).toEqual(text);
  });

  test('digits beyond nanoseconds are dropped, zeros at the end are not written', () => {
    expect(goTimeNs('1970-01-01T00:00:00.1234567899Z', 'it')).toBe(123_456_789n);
    expect(goTimeText('2026-11-21T04:00:00.120+01:00')).toBe('2026-11-21T04:00:00.12+01:00');
    expect(goTimeText('2026-11-21T04:00:00.000Z')).toBe('2026-11-21T04:00:00Z');
  });

  test.each([
    '',
    'now',
    '2026-11-21',
    '2026-11-21T04:00:00',
    '2026-11-21 04:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-02-29T00:00:00Z',
    '2026-00-10T00:00:00Z',
    '2026-01-00T00:00:00Z',
    '2026-01-01T24:00:00Z',
    '2026-01-01T00:60:00Z',
    '2026-01-01T00:00:60Z',
    '2026-01-01T00:00:00.Z',
    '2026-01-01T00:00:00,5Z',
    '2026-01-01T00:00:00+1:00',
    '2026-01-01T00:00:00+24:00',
    '2026-01-01T00:00:00+0100',
    '2026-01-01T00:00:00z',
    '2026-01-01T00:00:00Z ',
    '12026-01-01T00:00:00Z',
  ])('%j is no time', (text) => {
    expect(() => goTimeNs(text, 'it')).toThrow(expect.objectContaining({ code: 'repository.damaged' }));
  });
});
