/** The SSH host against a real sshd: what every host must do, also where only files may be transferred. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { hostCases } from '../../src/hosts/conformance/cases.ts';
import { connectionCases } from '../../src/hosts/conformance/connections.ts';
import { type EchoServer, startEchoServer } from '../../src/hosts/conformance/echo-server.ts';
import type { Host } from '../../src/hosts/host.ts';
import { sshHost } from '../../src/hosts/ssh/index.ts';
import { type Sshd, startSshd } from '../servers/sshd.ts';
import { settingsOf, tools } from '../support/ssh-hosts.ts';

let sshd: Sshd;
let folder: string;

beforeAll(async () => {
  sshd = await startSshd();
  folder = mkdtempSync(join(tmpdir(), 'holdfast-ssh-'));
});

afterAll(async () => {
  await sshd[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

describe('conformance', () => {
  let host: Host;
  let server: EchoServer;

  beforeAll(async () => {
    host = await sshHost.open('far', settingsOf(sshd), tools());
    server = await startEchoServer(folder);
  });

  afterAll(async () => {
    await host.close();
    await server[Symbol.asyncDispose]();
  });

  test.each(hostCases)('$why', async ({ run }) => {
    const directory = mkdtempSync(join(tmpdir(), 'holdfast-host-'));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    await expect(run({ host, directory })).resolves.toBeUndefined();
  });

  test.each(connectionCases)('$why', async ({ run }) => {
    await expect(run({ host, echo: server.echo, nobody: server.nobody })).resolves.toBeUndefined();
  });
});

describe('an account that may only transfer files', () => {
  /** `small-file` wants microseconds. */
  const beyondSftp = ['small-file'];
  let only: Sshd;
  let host: Host;

  beforeAll(async () => {
    only = await startSshd({ config: ['ForceCommand internal-sftp'] });
    host = await sshHost.open('far', settingsOf(only), tools());
  });

  afterAll(async () => {
    await host.close();
    await only[Symbol.asyncDispose]();
  });

  const fileCases = hostCases.slice(hostCases.findIndex(({ id }) => id === 'small-file'));
  test.each(fileCases.filter(({ id }) => !beyondSftp.includes(id)))('$why', async ({ run }) => {
    const directory = mkdtempSync(join(tmpdir(), 'holdfast-host-'));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    await expect(run({ host, directory })).resolves.toBeUndefined();
  });

  test('says what it cannot do, and that it runs no programs', async () => {
    expect(host.limits?.join()).toContain('times to the second');
    await expect(host.run({ argv: ['true'] })).rejects.toMatchObject({
      code: 'host.command-failed',
      message: expect.stringContaining('sftp'),
    });
  });

  test('a file that was changed lately never looks unchanged', async () => {
    const path = join(folder, 'fresh');
    writeFileSync(path, 'x');
    const before = await host.files.attributes(path);
    await sleep(2);
    expect((await host.files.attributes(path)).ctimeNs).not.toBe(before.ctimeNs);
  });
});
