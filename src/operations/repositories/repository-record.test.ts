import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { emptyConfig } from '../configuration/configuration.ts';
import { readRecord, remember } from './repository-record.ts';

test('what several runs find out at the same time is all remembered', async () => {
  const state = mkdtempSync(join(tmpdir(), 'holdfast-record-'));
  try {
    const config = emptyConfig('/etc/holdfast.yaml');
    const entry = { name: 'nas', url: '/nas', password: { from: 'env', name: 'X' }, workspace: 'default' } as never;
    const told: unknown[] = [];
    const uses = {
      config: { ...config, repositories: new Map([['nas', entry]]) },
      env: { HOLDFAST_STATE: state },
      report: (event: unknown) => told.push(event),
    };
    const lastCheck = { atMs: 1, ok: true, errors: 0, data: 'all' } as const;
    const lastCopy = { atMs: 2, from: 'r2', ok: true, copied: 3 };
    const seen = { atMs: 3, id: 'abc', newest: { shop: 3 } };
    await Promise.all([
      remember('nas', { lastCheck }, uses),
      remember('nas', { lastCopy }, uses),
      remember('nas', { seen }, uses),
    ]);
    expect(await readRecord('nas', uses)).toMatchObject({ lastCheck, lastCopy, seen });
    expect(told).toEqual([]);
  } finally {
    rmSync(state, { recursive: true });
  }
});
