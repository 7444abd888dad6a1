import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, realpathSync, renameSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { unattended } from '../../src/drivers/conformance/context.ts';
import { filesDriver } from '../../src/drivers/files/index.ts';
import { localHost } from '../../src/hosts/local/index.ts';
import { type DriverTrial, describeDriver } from './trial.ts';

describeDriver('files', async (): Promise<DriverTrial> => {
  const base = mkdtempSync(join(realpathSync(tmpdir()), 'holdfast-files-'));
  const tree = join(base, 'tree');
  mkdirSync(join(tree, 'below'), { recursive: true });
  writeFileSync(join(tree, 'large'), randomBytes(3 << 20));
  for (let i = 0; i < 50; i++) writeFileSync(join(tree, 'below', `file ${i}`), randomBytes(100 + i));
  const host = localHost();
  const sourceAt = (path: string) =>
    unattended({ name: 'tree', settings: filesDriver.settings.parse({ paths: [path] }), host, local: host });
  return {
    driver: filesDriver,
    server: 'the local file system',
    source: sourceAt(tree),
    trial: {
      // Files have no transactions: what is promised is that no file is a mixture of two.
      async disturb() {
        let going = true;
        const swapping = (async () => {
          for (let n = 0; going; n++) {
            writeFileSync(join(base, 'next'), Buffer.alloc(5000, n));
            renameSync(join(base, 'next'), join(tree, 'below', 'swapped'));
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
        const file = join(copy.environment.HOLDFAST_COPY, tree, 'below', 'file 7');
        execFileSync('sh', ['-c', 'printf x | dd of="$1" conv=notrunc status=none', 'sh', file]);
      },
      refused: [sourceAt(join(base, 'missing'))],
      elsewhere: async () => ({ target: join(base, 'elsewhere'), source: sourceAt(join(base, 'elsewhere')) }),
      leftovers: async () => [],
    },
    [Symbol.asyncDispose]: async () => void execFileSync('rm', ['-rf', base]),
  };
});
