import { expect, test, vi } from 'vitest';
import { keptLog } from '../../test/support/notified.ts';
import { systemClock } from '../base/clock.ts';
import { newestHappening, recordHappening } from '../catalogue/happenings.ts';
import { openCatalogue } from '../catalogue/open.ts';
import { logEvents } from './log-events.ts';

test('the log has a line for each run that failed and each configuration that is refused, and for nothing that went well', async () => {
  await using catalogue = await openCatalogue({ kind: 'sqlite', path: ':memory:' }, () => systemClock.nowMs());
  const failed = {
    type: 'backup.failed',
    ...{ title: 'the backup of shop failed', source: 'shop', run: 'r1' },
    ...{ errorCode: 'storage.unreachable', message: 'nas did not answer', remedy: 'Look at the NAS.' },
  } as const;
  await recordHappening(catalogue, { ...failed, run: 'before' });
  const { log, lines } = keptLog();
  const work = logEvents({ catalogue, clock: systemClock, log }, await newestHappening(catalogue));
  await recordHappening(catalogue, failed);
  await recordHappening(catalogue, { type: 'backup.succeeded', title: 'shop was backed up', source: 'shop' });
  const refused = { type: 'config.refused', title: 'not used: it has 2 errors', errorCode: 'config.invalid' } as const;
  await recordHappening(catalogue, refused);
  for (const count of [2, 3]) {
    const stop = new AbortController();
    const following = work(stop.signal);
    await vi.waitFor(() => expect(lines).toHaveLength(count), { timeout: 10_000 });
    stop.abort();
    await following.catch(() => undefined);
    // Begun anew, it says nothing twice.
    await recordHappening(catalogue, { ...failed, run: 'r2' });
  }
  expect(lines[0]).toMatchObject({
    ...{ level: 'error', text: 'the backup of shop failed' },
    facts: {
      event: 'backup.failed',
      run: 'r1',
      source: 'shop',
      code: 'storage.unreachable',
      error: 'nas did not answer',
    },
  });
  expect(lines.map(({ facts }) => [facts.event, facts.run])).toEqual([
    ['backup.failed', 'r1'],
    ['config.refused', undefined],
    ['backup.failed', 'r2'],
  ]);
});
