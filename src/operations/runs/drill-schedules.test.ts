import { expect, test } from 'vitest';
import { saveUnseen } from '../../catalogue/data/repository-states.ts';
import { openCatalogue } from '../../catalogue/open.ts';
import { inTransaction } from '../../catalogue/transaction.ts';
import { parseConfig } from '../../config/index.ts';
import { filesDriver } from '../../drivers/files/index.ts';
import { queueDue } from '../../runs/schedule/queue-due.ts';
import { storageKinds } from '../../storage/registry.ts';
import { planRuns } from './plan-runs.ts';

const hour = 3_600_000;
const text = `
repositories: { usb: { url: /mnt/usb, password: { env: PW }, mayBeAway: 14d } }
policies: { nightly: { repositories: [usb], drill: { schedule: "0 * * * *" } } }
sources: { shop: { driver: files, paths: [/srv], policy: nightly } }
`;
const known = { drivers: [filesDriver], storageKinds, hostKinds: [], channelKinds: [] };
const { schedules } = planRuns(parseConfig('/etc/holdfast.yaml', Buffer.from(text), known));

test('a drill is due whatever was known of its repository last: whether a disk is there is seen when it begins', async () => {
  let nowMs = hour / 2;
  await using catalogue = await openCatalogue({ kind: 'sqlite', path: ':memory:' }, () => nowMs);
  const look = async () => await inTransaction(catalogue, (transaction) => queueDue(transaction, schedules));
  await look();
  await saveUnseen(catalogue, { repository: 'usb', code: 'repository.missing', message: 'it was not there then' });
  nowMs += hour;
  expect(await look()).toEqual({ queued: 1, missed: 0 });
});
