import { expect, test } from 'vitest';
import { localHost } from '../../hosts/local/index.ts';
import { torture, unlockedCopy } from './fixture-torture.ts';

const host = localHost();
const everyCheckpoint = ['PASSIVE', 'FULL', 'RESTART', 'TRUNCATE'] as const;

test('copies under writers that never rest, with every kind of checkpoint, are each one moment of the bank', async () => {
  const report = await torture(host, {
    copies: 10,
    journal: 'wal',
    blobs: 1500,
    writers: [
      { perSecond: 0, transfers: 20, checkpoints: everyCheckpoint, autocheckpoint: 50, synchronous: 'OFF' },
      { perSecond: 0, transfers: 3, autocheckpoint: 20, synchronous: 'OFF' },
    ],
  });
  expect(report.bad).toEqual([]);
  expect(report.copies).toBe(10);
});

test('copies made first and stored later are each one moment of the bank', async () => {
  let overlaid = 0;
  // Every checkpoint may have emptied the log each time that a copy was made.
  for (let round = 0; round < 10 && overlaid === 0; round++) {
    const report = await torture(host, {
      copies: 4,
      journal: 'wal',
      blobs: 1500,
      settings: { copyFirst: true },
      writers: [
        { perSecond: 0, transfers: 20, checkpoints: everyCheckpoint, autocheckpoint: 50, synchronous: 'OFF' },
        { perSecond: 0, transfers: 3, autocheckpoint: 20, synchronous: 'OFF' },
      ],
    });
    expect(report.bad).toEqual([]);
    expect(report.copies).toBe(4);
    overlaid += report.overlaid;
  }
  expect(overlaid).toBeGreaterThan(0);
});

test('copies in rollback mode under constant writes are each one moment of the bank', async () => {
  const report = await torture(host, {
    copies: 5,
    journal: 'delete',
    blobs: 1500,
    writers: [{ perSecond: 150, transfers: 5, synchronous: 'OFF' }],
  });
  expect(report.bad).toEqual([]);
  expect(report.copies + report.busy).toBe(5);
  expect(report.copies).toBeGreaterThan(0);
});

// The control: if a copy without locks never came out torn, the two tests above would prove nothing.
test('the same writers do tear a copy that holds no lock', async () => {
  const bad: string[] = [];
  for (let round = 0; round < 10 && bad.length === 0; round++) {
    const report = await torture(host, {
      copies: 10,
      journal: 'wal',
      blobs: 4000,
      writers: [{ perSecond: 0, transfers: 20, checkpoints: everyCheckpoint, autocheckpoint: 50, synchronous: 'OFF' }],
      copy: unlockedCopy,
    });
    bad.push(...report.bad);
  }
  expect(bad.length).toBeGreaterThan(0);
});
