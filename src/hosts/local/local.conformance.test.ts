import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { hostCases } from '../conformance/cases.ts';
import type { Host } from '../host.ts';
import { localHost } from './index.ts';

const hosts: readonly (readonly [string, Host])[] = [
  ['local', localHost()],
  ['local without koffi', localHost({ syscalls: {} })],
];

test.each(hosts.flatMap(([name, host]) => hostCases.map((each) => ({ ...each, name, host }))))(
  '$name: $why',
  async ({ host, run }) => {
    const directory = mkdtempSync(join(tmpdir(), 'holdfast-host-'));
    try {
      await expect(run({ host, directory })).resolves.toBeUndefined();
    } finally {
      rmSync(directory, { recursive: true });
    }
  },
);
