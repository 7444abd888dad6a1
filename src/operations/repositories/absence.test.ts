import { expect, it } from 'vitest';
import { HoldfastError } from '../../base/errors.ts';
import { isAbsence, judgeAbsence } from './absence.ts';
import type { RepositoryRecord } from './repository-record.ts';

const dayMs = 86_400_000;
const nowMs = Date.UTC(2026, 10, 21, 12);

function record(newest: Record<string, number>, seenDaysAgo: number): RepositoryRecord {
  const seen = { atMs: nowMs - seenDaysAgo * dayMs, id: 'ab', newest };
  return { format: 1, config: '/etc/holdfast.yaml', repository: 'usb', seen };
}

it('a disk is away without a fault as long as what is in it is young enough', () => {
  const known = record({ shop: nowMs - 3 * dayMs, wiki: nowMs - 9 * dayMs }, 2);
  expect(judgeAbsence(known, 5 * dayMs, { nowMs, sources: ['shop'] })).toEqual({
    sinceMs: nowMs - 2 * dayMs,
    isFine: true,
    message: 'away since 2026-11-19 12:00Z (2 days)',
  });
  const wiki = judgeAbsence(known, 5 * dayMs, { nowMs, sources: ['wiki'] });
  expect(wiki).toMatchObject({ isFine: false, message: expect.stringContaining('9 days old, at most 5 days') });
  expect(judgeAbsence(known, 5 * dayMs, { nowMs, sources: ['shop', 'wiki'] }).isFine).toBe(false);
});

it('a disk that never held a source, or was never seen, is a fault at once', () => {
  expect(judgeAbsence(undefined, 5 * dayMs, { nowMs, sources: ['shop'] }).isFine).toBe(false);
  const other = judgeAbsence(record({ wiki: nowMs }, 1), 5 * dayMs, { nowMs, sources: ['shop'] });
  expect(other).toMatchObject({ isFine: false, message: expect.stringContaining('nothing of shop') });
});

it('what nobody stores there may be away as long as it was seen in time', () => {
  expect(judgeAbsence(record({ gone: 0 }, 1), 5 * dayMs, { nowMs, sources: [] }).isFine).toBe(true);
  expect(judgeAbsence(record({ gone: 0 }, 6), 5 * dayMs, { nowMs, sources: [] }).isFine).toBe(false);
});

it('only what is not there is away: a refusal, a wrong password or damage is told as it is', () => {
  const error = (code: HoldfastError['code']) => new HoldfastError({ code, message: '', remedy: '' });
  for (const code of ['repository.missing', 'storage.not-found', 'storage.unreachable'] as const) {
    expect(isAbsence(error(code)), code).toBe(true);
  }
  for (const code of ['repository.wrong-password', 'storage.denied', 'repository.damaged', 'storage.io'] as const) {
    expect(isAbsence(error(code)), code).toBe(false);
  }
});
