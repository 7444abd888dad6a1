import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { connectionCases } from '../conformance/connections.ts';
import { startEchoServer } from '../conformance/echo-server.ts';
import { localHost } from './index.ts';

test.each(connectionCases)('local: $why', async ({ run }) => {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-echo-'));
  try {
    await using server = await startEchoServer(directory);
    const { echo, nobody } = server;
    await expect(run({ host: localHost(), echo, nobody })).resolves.toBeUndefined();
  } finally {
    rmSync(directory, { recursive: true });
  }
});
