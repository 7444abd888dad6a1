import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { Secret } from '../../src/base/secrets.ts';
import { checkDriver } from '../../src/drivers/check.ts';
import { command } from '../../src/drivers/command/index.ts';
import { unattended } from '../../src/drivers/conformance/context.ts';
import type { Host } from '../../src/hosts/host.ts';
import { localHost } from '../../src/hosts/local/index.ts';
import { sshHost } from '../../src/hosts/ssh/index.ts';
import { openDriverBench } from '../../src/operations/sources/driver-bench.ts';
import { storageKinds } from '../../src/storage/registry.ts';
import { startSshd } from '../servers/sshd.ts';
import { settingsOf, tools } from '../support/ssh-hosts.ts';
import { type DriverTrial, describeDriver } from './trial.ts';

describeDriver('command', async () => await openState(localHost(), async () => {}));

describeDriver('command over SSH', async () => {
  const sshd = await startSshd();
  const host = await sshHost.open('far', settingsOf(sshd), tools());
  return await openState(host, async () => {
    await host.close();
    await sshd[Symbol.asyncDispose]();
  });
});

test('a source without a restore command passes what an operator can run against it', async () => {
  const source = unattended({
    ...{ name: 'one way', host: localHost(), local: localHost() },
    settings: command.settings.parse({ command: ['printf', 'all there is'] }),
  });
  await using bench = await openDriverBench({ driver: command, storageKinds, clock: systemClock });
  const results = await checkDriver({ driver: command, source, bench }, () => {});
  expect(results.filter(({ passed }) => !passed)).toEqual([]);
  expect(results.map(({ id }) => id)).toContain('dry-run');
});

async function openState(host: Host, close: () => Promise<void>): Promise<DriverTrial> {
  const base = mkdtempSync(join(realpathSync(tmpdir()), 'holdfast-command-'));
  const state = join(base, 'state');
  writeFileSync(state, randomBytes(3 << 20));
  const sourceOf = (settings: object) =>
    unattended({ name: 'state', settings: command.settings.parse(settings), host, local: localHost() });
  return {
    driver: command,
    server: 'cat of GNU coreutils',
    source: sourceOf({
      // fails if the secret is among the arguments of any program
      command: ['sh', '-c', 'printf %s "$TOKEN" | grep -qsaf - /proc/[0-9]*/cmdline && exit 9; exec cat "$0"', state],
      secrets: { TOKEN: { from: 'clear', secret: new Secret(`token-${randomBytes(12).toString('hex')}`) } },
      restore: ['tee', join(base, 'elsewhere')],
      verify: ['sh', '-c', 'test "$(wc -c)" -gt 1000'],
    }),
    trial: {
      // The program decides what one state is: cat keeps the file it opened.
      async disturb() {
        let going = true;
        const swapping = (async () => {
          for (let n = 0; going; n++) {
            writeFileSync(join(base, 'next'), Buffer.alloc(500_000, n));
            renameSync(join(base, 'next'), state);
            await setImmediate();
          }
        })();
        return {
          async [Symbol.asyncDispose]() {
            going = false;
            await swapping;
          },
        };
      },
      async damage(copy) {
        const file = copy.environment.HOLDFAST_COPY;
        const bytes = readFileSync(file);
        bytes[Math.floor(Math.random() * bytes.length)] ^= 1;
        writeFileSync(file, bytes);
      },
      refused: [
        sourceOf({ command: ['false'] }),
        sourceOf({ command: ['true'] }),
        sourceOf({ command: ['holdfast-no-such-program'] }),
        sourceOf({ shell: 'echo half; kill -KILL $$' }),
        sourceOf({ command: ['cat', state], maxBytes: 10 }),
      ],
      elsewhere: async () => ({
        target: join(base, 'elsewhere'),
        source: sourceOf({ command: ['cat', join(base, 'elsewhere')] }),
      }),
      leftovers: async () => readdirSync(base).filter((name) => !['state', 'next', 'elsewhere'].includes(name)),
    },
    [Symbol.asyncDispose]: async () => {
      await close();
      rmSync(base, { recursive: true, force: true });
    },
  };
}
