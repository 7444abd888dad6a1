import { expect, it } from 'vitest';
import { ProgressLine } from './progress-line.ts';

const mib = 1 << 20;

it('shows share, rate and time to go once there is something to measure', () => {
  const line = new ProgressLine();
  const at = (bytesDone: number) => ({
    type: 'progress' as const,
    stage: 'store',
    bytesDone,
    bytesTotal: 100 * mib,
    subject: '/srv/a',
  });
  expect(line.format(at(0), 1000, 200)).toBe('store · 0.0 % · 0 B of 100 MiB · /srv/a');
  expect(line.format(at(25 * mib), 2000, 200)).toBe(
    'store · 25.0 % · 25.0 MiB of 100 MiB · 25.0 MiB/s · 3.00 s to go · /srv/a',
  );
});

it('forgets the rate of another stage, and fits the line', () => {
  const line = new ProgressLine();
  line.format({ type: 'progress', stage: 'a', bytesDone: 10 * mib }, 0, 80);
  expect(line.format({ type: 'progress', stage: 'b', bytesDone: mib }, 5000, 80)).toBe('b · 1.00 MiB');
  const long = line.format(
    { type: 'progress', stage: 'b', bytesDone: 2 * mib, subject: `/${'x'.repeat(300)}/end` },
    6000,
    60,
  );
  expect([...long]).toHaveLength(60);
  expect(long).toMatch(/^b · 2\.00 MiB · .*…x*\/end$/);
});

it('never shows more than all', () => {
  const done = { type: 'progress' as const, stage: 's', bytesDone: 20, bytesTotal: 10 };
  expect(new ProgressLine().format(done, 0, 80)).toBe('s · 100.0 % · 20 B of 10 B');
});
