/** Host keys, credentials and jumps of the SSH host against a real sshd. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { output } from '../../src/hosts/conformance/case.ts';
import { startEchoServer } from '../../src/hosts/conformance/echo-server.ts';
import type { Host } from '../../src/hosts/host.ts';
import { localHost } from '../../src/hosts/local/index.ts';
import { sshHost } from '../../src/hosts/ssh/index.ts';
import type { SshSettings } from '../../src/hosts/ssh/settings.ts';
import { fingerprintOf } from '../../src/protocols/ssh/known-hosts.ts';
import { startPasswordSshd } from '../servers/password-sshd.ts';
import { makeKey, publicKey, type Sshd, startSshd } from '../servers/sshd.ts';
import {
  clearSecret,
  fileSecret,
  mkdtempIn,
  openHost,
  ownSshd,
  settingsOf,
  startAgent,
  tools,
} from '../support/ssh-hosts.ts';

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

describe('the host key', () => {
  const refused = (settings: Partial<SshSettings>) =>
    sshHost.open('far', { ...settingsOf(sshd), ...settings }, tools()).then(
      () => expect.unreachable(),
      (error: unknown) => error as { code: string; message: string; remedy: string },
    );
  const ownFingerprint = (): string => fingerprintOf(Buffer.from(sshd.hostKey.split(' ')[1], 'base64'));
  const known = (text: string): string => {
    const path = join(folder, `known-${randomBytes(4).toString('hex')}`);
    writeFileSync(path, text);
    return path;
  };

  test('that is not known is refused, and the remedy accepts it', async () => {
    const file = known('');
    const error = await refused({ knownHosts: file });
    expect(error.code).toBe('host.unreachable');
    expect(error.message).toContain(ownFingerprint());
    const command = /accept it with: (echo '.*' >> '.*?')/.exec(error.remedy)?.[1];
    const { status } = await output(localHost(), { argv: ['sh', '-c', command!] });
    expect(status).toBe(0);
    await openHost({ ...settingsOf(sshd), knownHosts: file });
  });

  test('that is not known to a file that does not exist is refused', async () => {
    expect((await refused({ knownHosts: join(folder, 'missing') })).message).toContain('is not known');
  });

  test('that has changed is refused loudly, before anything is sent', async () => {
    makeKey(join(folder, 'other-host'));
    const file = known(`[127.0.0.1]:${sshd.port} ${publicKey(join(folder, 'other-host'))}\n`);
    const before = sshd.log().length;
    const error = await refused({ knownHosts: file });
    expect(error.code).toBe('host.unreachable');
    expect(error.message).toMatch(/^THE HOST KEY HAS CHANGED/);
    expect(error.remedy).toContain('ssh-keygen -R');
    expect(sshd.log().slice(before)).not.toMatch(/publickey|password/);
  });

  test('of another kind than the known one counts as changed too', async () => {
    makeKey(join(folder, 'rsa-host'), { type: 'rsa' });
    const file = known(`[127.0.0.1]:${sshd.port} ${publicKey(join(folder, 'rsa-host'))}\n`);
    expect((await refused({ knownHosts: file })).message).toMatch(/^THE HOST KEY HAS CHANGED/);
  });

  test('that was revoked is refused, and a certificate authority is not taken for a key', async () => {
    const place = `[127.0.0.1]:${sshd.port} ${sshd.hostKey}`;
    expect((await refused({ knownHosts: known(`${place}\n@revoked ${place}\n`) })).message).toContain('revoked');
    const error = await refused({ knownHosts: known(`@cert-authority ${place}\n`) });
    expect(error.message).toContain('certificates are not supported');
  });

  test('can be pinned as a key or as a fingerprint', async () => {
    const nowhere = join(folder, 'missing');
    for (const hostKey of [sshd.hostKey, ownFingerprint()]) {
      await openHost({ ...settingsOf(sshd), knownHosts: nowhere, hostKey });
    }
    const error = await refused({ hostKey: `SHA256:${'A'.repeat(43)}` });
    expect(error.message).toContain(ownFingerprint());
  });

  test.each(['rsa', 'ecdsa'] as const)('of kind %s is asked for when that is the known one', async (hostKeyType) => {
    const server = await ownSshd({ hostKeyType });
    makeKey(join(server.folder, 'second'));
    // the server has both; an ed25519 key would be preferred, but is not known
    await server.stop();
    const file = join(server.folder, 'sshd_config');
    writeFileSync(file, `HostKey ${server.folder}/second\n${readFileSync(file, 'utf8')}`);
    await server.start();
    await openHost(settingsOf(server));
  });
});

describe('signing in', () => {
  test('with a wrong key or a wrong password is refused, and the password is in no error', async () => {
    makeKey(join(folder, 'stranger'));
    const attempt = (settings: Partial<SshSettings>) =>
      sshHost.open('far', { ...settingsOf(sshd), ...settings }, tools());
    await expect(attempt({ key: fileSecret(join(folder, 'stranger')) })).rejects.toMatchObject({
      code: 'host.unreachable',
      message: expect.stringContaining('does not let'),
    });
    const error = await attempt({ key: undefined, password: clearSecret('wrong-pass-word') }).catch((one) => one);
    expect(error).toMatchObject({ code: 'host.unreachable', message: expect.stringContaining('a password') });
    expect(JSON.stringify([error.message, error.remedy, error.context])).not.toContain('wrong-pass-word');
  });

  test('with a key that has a passphrase', async () => {
    const key = join(folder, 'protected');
    makeKey(key, { passphrase: 'open sesame' });
    const server = await ownSshd();
    writeFileSync(join(server.folder, 'authorized'), readFileSync(`${key}.pub`));
    const settings = { ...settingsOf(server), key: fileSecret(key) };
    await openHost({ ...settings, passphrase: clearSecret('open sesame') });
    const attempt = (passphrase?: SshSettings['key']) => sshHost.open('far', { ...settings, passphrase }, tools());
    await expect(attempt()).rejects.toMatchObject({ code: 'secret.unavailable', message: /passphrase, and none/ });
    await expect(attempt(clearSecret('wrong'))).rejects.toMatchObject({ message: /passphrase .* is wrong/ });
  });

  test('with something that is no private key says so', async () => {
    const attempt = (path: string) => sshHost.open('far', { ...settingsOf(sshd), key: fileSecret(path) }, tools());
    await expect(attempt(`${sshd.key}.pub`)).rejects.toMatchObject({
      code: 'secret.unavailable',
      message: /public key/,
    });
    await expect(attempt(sshd.knownHosts)).rejects.toMatchObject({ code: 'secret.unavailable' });
  });

  test('with an agent; but with a key named, the keys of the agent are never offered', async () => {
    await using agent = await startAgent(folder);
    makeKey(join(folder, 'of-agent'));
    await agent.add(join(folder, 'of-agent'));
    const server = await ownSshd();
    const authorized = join(server.folder, 'authorized');
    writeFileSync(
      authorized,
      `${readFileSync(authorized, 'utf8')}${readFileSync(join(folder, 'of-agent.pub'), 'utf8')}`,
    );
    const agentKey = fingerprintOf(Buffer.from(publicKey(join(folder, 'of-agent')).split(' ')[1], 'base64'));

    await openHost({ ...settingsOf(server), key: undefined });
    expect(server.log()).toContain(agentKey);

    const before = server.log().length;
    makeKey(join(folder, 'unwanted'));
    const wrong = { ...settingsOf(server), key: fileSecret(join(folder, 'unwanted')) };
    await expect(sshHost.open('far', wrong, tools())).rejects.toMatchObject({ code: 'host.unreachable' });
    expect(server.log().slice(before)).toContain('Failed publickey');
    expect(server.log().slice(before)).not.toContain(agentKey);
    await openHost({ ...wrong, agent: true });
  });

  test('without an agent where one is needed says so', async () => {
    const before = process.env.SSH_AUTH_SOCK;
    delete process.env.SSH_AUTH_SOCK;
    onTestFinished(() => {
      if (before !== undefined) process.env.SSH_AUTH_SOCK = before;
    });
    await expect(sshHost.open('far', { ...settingsOf(sshd), key: undefined }, tools())).rejects.toMatchObject({
      code: 'secret.unavailable',
    });
  });

  test('at a port where nobody listens, or something else does', async () => {
    await using server = await startEchoServer(mkdtempIn(folder));
    const [nobody, echo] = [server.nobody[0], server.echo[0]] as { port: number }[];
    const attempt = (port: number) =>
      sshHost.open('far', { ...settingsOf(sshd), ssh: `root@127.0.0.1:${port}` }, tools());
    await expect(attempt(nobody.port)).rejects.toMatchObject({ code: 'host.unreachable' });
    await expect(attempt(echo.port)).rejects.toMatchObject({ code: 'host.unreachable' });
  });
});

describe.each(['password', 'question'] as const)('a server that wants a password by %s', (how) => {
  test('gets the right one; that it starts nothing is no reason not to know it', async () => {
    await using server = await startPasswordSshd(mkdtempIn(folder), how);
    const settings = { ssh: `me@127.0.0.1:${server.port}`, hostKey: server.hostKey, password: clearSecret('right') };
    const host = await sshHost.open('far', settings, tools());
    expect(server.attempts).not.toContain('publickey');
    expect(host.hostname).toBe('127.0.0.1');
    expect(host.limits).toHaveLength(3);
    await expect(host.run({ argv: ['true'] })).rejects.toMatchObject({ code: 'host.command-failed' });
    await expect(host.files.attributes('/')).rejects.toMatchObject({ code: 'host.command-missing' });
    await host.close();
    await expect(sshHost.open('far', { ...settings, password: clearSecret('wrong') }, tools())).rejects.toMatchObject({
      code: 'host.unreachable',
      message: expect.stringContaining('does not let me sign in'),
    });
  });
});

describe('a jump', () => {
  test('goes through another host of the configuration', async () => {
    const gate = await ownSshd();
    const through = async (name: string): Promise<Host> => {
      expect(name).toBe('gate');
      return await openHost(settingsOf(gate));
    };
    const host = await openHost({ ...settingsOf(sshd), jump: 'gate' }, through);
    const { stdout } = await output(host, { argv: ['sh', '-c', 'echo $SSH_CONNECTION'] });
    expect(stdout.trim().split(' ')[3]).toBe(String(sshd.port));
    expect(gate.log()).toContain('Accepted publickey');
    // whoever connects to the server is the gate
    const source = Number(stdout.split(' ')[1]);
    expect(source).toBeGreaterThan(0);
  });

  test('goes through an address of its own with the same key, whose host key is checked too', async () => {
    const gate = await ownSshd();
    writeFileSync(join(gate.folder, 'authorized'), readFileSync(`${sshd.key}.pub`));
    const both = join(folder, 'both');
    writeFileSync(both, readFileSync(sshd.knownHosts));
    const settings = { ...settingsOf(sshd), knownHosts: both, jump: gate.address };
    await expect(sshHost.open('far', settings, tools())).rejects.toMatchObject({
      message: expect.stringContaining('jump'),
    });
    writeFileSync(both, `${readFileSync(sshd.knownHosts)}${readFileSync(gate.knownHosts)}`);
    const host = await openHost(settings);
    expect((await output(host, { argv: ['echo', 'there'] })).stdout).toBe('there\n');
  });
});
