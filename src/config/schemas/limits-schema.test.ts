import { describe, expect, it } from 'vitest';
import { limitsSection } from './limits-schema.ts';

const mib = 1024 * 1024;
const read = (value: unknown) => limitsSection.parse(value);
const problem = (value: unknown): string => JSON.stringify(limitsSection.safeParse(value).error?.issues ?? []);

describe('limits', () => {
  it('are rates in the units people write', () => {
    const rates = {
      '2MiB/s': 2 * mib,
      '500KB/s': 500_000,
      '20Mbit/s': 2_500_000,
      '20 Mbit/s': 2_500_000,
      '1.5 MiB/s': 1.5 * mib,
    };
    for (const [text, bytesPerSecond] of Object.entries(rates)) {
      expect(read({ upload: text }).upload, text).toEqual({ windows: [{ bytesPerSecond }] });
    }
    expect(read({ upload: 'unlimited', concurrency: 4 })).toEqual({
      upload: undefined,
      download: undefined,
      concurrency: 4,
    });
  });

  it('are timetables in a zone', () => {
    const office = { from: '08:00', to: '20:30', days: ['mon', 'fri'], rate: '2MiB/s' };
    expect(read({ download: [office, { rate: 'unlimited' }], timezone: 'Europe/Madrid' }).download).toEqual({
      windows: [{ hours: { fromMinute: 480, toMinute: 1230 }, days: [1, 5], bytesPerSecond: 2 * mib }, {}],
      timezone: 'Europe/Madrid',
    });
    expect(read({ upload: [{ from: '00:00', to: '24:00', rate: '1MiB/s' }] }).upload?.windows[0].hours).toEqual({
      fromMinute: 0,
      toMinute: 1440,
    });
  });

  it('name what is wrong with them', () => {
    for (const text of ['fast', '2Mb/s', '2Mbps', '2MiB', '-1MiB/s', '2000']) {
      expect(problem({ upload: text }), text).toContain('is not a rate');
    }
    expect(problem({ upload: '1KiB/s' })).toContain('less than 16KiB/s');
    expect(problem({ upload: [{ from: '25:00', to: '08:00', rate: '1MiB/s' }] })).toContain('is not a time of day');
    expect(problem({ upload: [{ from: '24:30', to: '08:00', rate: '1MiB/s' }] })).toContain('is not a time of day');
    expect(problem({ upload: [{ from: '20:00', rate: '1MiB/s' }] })).toContain('only one of from and to');
    expect(problem({ upload: '1MiB/s', timezone: 'Europe/Atlantis' })).toContain('is not a time zone');
    expect(problem({ concurrency: 0 })).not.toBe('[]');
  });
});
