/** The demonstration proves what it says, and leaves nothing behind, however it ends. */
import { mkdirSync, readdirSync, watch } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Trial } from './trial.ts';

const trial = new Trial({ temporary: 'tmp' });
afterAll(() => trial.dispose());
beforeAll(() => mkdirSync(trial.path('tmp')));

interface Demo {
  readonly ok: boolean;
  readonly kept: boolean;
  readonly transfersDuringBackups: number;
  readonly backups: readonly { readonly addedBytes: number }[];
  readonly drill: { readonly proof: { readonly verdict: string; readonly checksTotal: number } };
  readonly audit: { readonly total: number; readonly expected: number };
  readonly restic: { readonly ok: boolean };
}

it('backs a live database up, proves it, and removes everything', async () => {
  const demo = await trial.json<Demo>('demo');
  expect(demo).toMatchObject({ ok: true, kept: false, drill: { proof: { verdict: 'passed' } }, restic: { ok: true } });
  expect(demo.transfersDuringBackups).toBeGreaterThan(0);
  expect(demo.backups[1].addedBytes).toBeLessThan(demo.backups[0].addedBytes / 2);
  expect(demo.audit.total).toBe(demo.audit.expected);
  expect(demo.drill.proof.checksTotal).toBeGreaterThan(5);
  expect(readdirSync(trial.path('tmp'))).toEqual([]);
});

it('removes everything when it is interrupted, too', async () => {
  const { status } = await trial.run(['demo'], (child) => {
    const watcher = watch(trial.path('tmp'), () => {
      watcher.close();
      child.kill('SIGTERM');
    });
  });
  expect([status, readdirSync(trial.path('tmp'))]).toEqual([130, []]);
});
