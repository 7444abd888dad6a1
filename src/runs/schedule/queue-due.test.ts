import { expect, test } from 'vitest';
import { saveSeen, saveUnseen } from '../../catalogue/data/repository-states.ts';
import { openCatalogue } from '../../catalogue/open.ts';
import { inTransaction } from '../../catalogue/transaction.ts';
import type { Schedule } from '../../policy/run-plan.ts';
import { queueDue } from './queue-due.ts';

const hour = 3_600_000;
const schedule: Schedule = {
  ...{
    key: 'drill/nightly/shop/usb',
    kind: 'drill',
    source: 'shop',
    repository: 'usb',
    host: 'local',
    mayBeAway: 'usb',
  },
  ...{ timing: { kind: 'interval', everyMs: hour }, jitterMs: 0, catchUp: true, input: {} },
};

test('what waits for a disk that is away is no run and none that was missed; once it is there it is due again', async () => {
  let nowMs = hour / 2;
  await using catalogue = await openCatalogue({ kind: 'sqlite', path: ':memory:' }, () => nowMs);
  const look = async () => await inTransaction(catalogue, (transaction) => queueDue(transaction, [schedule]));
  await look();
  nowMs += 3 * hour;
  await saveUnseen(catalogue, { repository: 'usb', code: 'repository.missing', message: 'it is not there' });
  expect(await look()).toEqual({ queued: 0, missed: 0 });
  nowMs += hour;
  await saveUnseen(catalogue, { repository: 'usb', code: 'repository.wrong-password', message: 'it is another one' });
  expect(await look()).toEqual({ queued: 1, missed: 0 });
  nowMs += hour;
  await saveSeen(catalogue, { repository: 'usb', id: 'a', atMs: nowMs });
  expect(await look()).toEqual({ queued: 1, missed: 0 });
});
