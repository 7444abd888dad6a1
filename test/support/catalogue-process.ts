/**
 * A process with a catalogue of its own, for tests of several and of dying ones: `node catalogue-process.ts ADDRESS VERB`.
 * open: opens and closes it · write: runs queued, claimed and finished one after the other, the id of each printed when it is.
 */
import { openCatalogue } from '../../src/catalogue/open.ts';
import { claimRun, finishRun, insertRun } from '../../src/catalogue/runs.ts';

const [address, verb] = process.argv.slice(2);
await using catalogue = await openCatalogue(JSON.parse(address), Date.now);
console.log('open');
while (verb === 'write') {
  const { id } = await insertRun(catalogue, {
    kind: 'backup',
    source: 's',
    host: 'local',
    trigger: 'manual',
    askedBy: 'x',
  });
  const { fence } = (await claimRun(catalogue, { id, worker: `${process.pid}`, leaseMs: 60_000 }))!;
  const events = [{ type: 'backup.succeeded', title: 'done' }] as const;
  await finishRun(catalogue, { id, fence, outcome: { state: 'succeeded', result: 'x'.repeat(3000) }, events });
  console.log(id);
}
