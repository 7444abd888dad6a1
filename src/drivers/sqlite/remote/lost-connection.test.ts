import { expect, test } from 'vitest';
import { HoldfastError } from '../../../base/errors.ts';
import type { Host, HostProcess } from '../../../hosts/host.ts';
import { localHost } from '../../../hosts/local/index.ts';
import { seedBank } from '../fixture.ts';
import { playground } from '../fixture-run.ts';
import { openWithPython } from './python-holder.ts';
import { openWithShell } from './shell-holder.ts';

const lost = new HoldfastError({
  code: 'host.unreachable',
  message: 'the connection was lost',
  remedy: 'Run it again.',
});

/** A host whose programs run, until the connection to them is lost: nobody will know how they ended. */
function fragileHost(): { host: Host; cut: () => void } {
  const cutting = Promise.withResolvers<never>();
  cutting.promise.catch(() => {});
  const run = async (command: Parameters<Host['run']>[0]): Promise<HostProcess> => {
    const process = await localHost().run(command);
    const exit = Promise.race([process.exit, cutting.promise]);
    exit.catch(() => {});
    return { ...process, stdout: untilCut(process, cutting.promise), exit, kill: () => process.kill() };
  };
  return { host: { ...localHost(), run }, cut: () => cutting.reject(lost) };
}

async function* untilCut(process: HostProcess, cutting: Promise<never>): AsyncGenerator<Uint8Array> {
  const chunks = process.stdout[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await Promise.race([chunks.next(), cutting]);
      if (next.done) return;
      yield next.value;
    }
  } finally {
    process.kill();
  }
}

test.each([
  ['python3', openWithPython],
  ['sqlite3', openWithShell],
])(
  'what is asked of %s over a connection that is lost ends with that error, and so does what is asked later',
  async (_, open) => {
    const { host, cut } = fragileHost();
    using place = playground();
    const path = place.path('bank.db');
    seedBank({ path, blobs: 1 });
    const holder = await open(host, { path, mode: 'snapshot', busyMs: 0 });
    const asked = holder.hold();
    cut();
    await asked.catch(() => {}); // the answer may have come before
    await expect.poll(() => holder.ended).toBe(lost);
    await expect(holder.unhold()).rejects.toBe(lost);
    await holder[Symbol.asyncDispose]();
  },
);
