/** Hosts over SSH to real servers, for the tests of the SSH host. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, vi } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import type { SecretReference } from '../../src/base/secret-reference.ts';
import { Secret } from '../../src/base/secrets.ts';
import { output } from '../../src/hosts/conformance/case.ts';
import type { Host, HostTools } from '../../src/hosts/host.ts';
import { localHost } from '../../src/hosts/local/index.ts';
import { sshHost } from '../../src/hosts/ssh/index.ts';
import type { SshSettings } from '../../src/hosts/ssh/settings.ts';
import { type Sshd, type SshdOptions, startSshd } from '../servers/sshd.ts';

export function tools(
  through: HostTools['through'] = async () => localHost(),
  signal = new AbortController().signal,
): HostTools {
  return {
    clock: systemClock,
    local: localHost(),
    through,
    signal,
    secret: async (reference) => {
      if (reference.from === 'file') return new Secret(readFileSync(reference.path, 'utf8'));
      if (reference.from === 'clear') return reference.secret;
      throw new Error('no such secret');
    },
  };
}

export function fileSecret(path: string): SecretReference {
  return { from: 'file', path };
}

export function clearSecret(text: string): SecretReference {
  return { from: 'clear', secret: new Secret(text) };
}

/** Of a server, with its own key and its own known hosts. */
export function settingsOf(server: Sshd): SshSettings {
  return { ssh: server.address, key: fileSecret(server.key), knownHosts: server.knownHosts };
}

/** Closed when the test is over. */
export async function openHost(settings: SshSettings, through?: HostTools['through']): Promise<Host> {
  const host = await sshHost.open('far', sshHost.settings.parse(settings), tools(through));
  onTestFinished(() => host.close());
  return host;
}

export async function ownSshd(options?: SshdOptions): Promise<Sshd> {
  const server = await startSshd(options);
  onTestFinished(() => server[Symbol.asyncDispose]());
  return server;
}

export function mkdtempIn(parent: string): string {
  return mkdtempSync(join(parent, 'd-'));
}

export function commandLines(): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .map((name) => {
      try {
        return readFileSync(`/proc/${name}/cmdline`, 'utf8');
      } catch {
        return ''; // ended meanwhile
      }
    });
}

export async function drain(chunks: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of chunks);
}

export async function text(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all).toString();
}

export async function read(host: Host, path: string): Promise<Buffer> {
  const reader = await host.files.open(path);
  const chunks: Buffer[] = [];
  for (;;) {
    const chunk = Buffer.alloc(1 << 18);
    const count = await reader.read(chunk);
    if (count === 0) break;
    chunks.push(chunk.subarray(0, count));
  }
  await reader.close();
  return Buffer.concat(chunks);
}

export async function startAgent(folder: string): Promise<AsyncDisposable & { add(key: string): Promise<void> }> {
  const socket = join(folder, `agent-${randomBytes(4).toString('hex')}`);
  const agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: 'ignore' });
  const before = process.env.SSH_AUTH_SOCK;
  process.env.SSH_AUTH_SOCK = socket;
  await vi.waitFor(() => statSync(socket), { timeout: 20_000 });
  return {
    async add(key) {
      const { status, stderr } = await output(localHost(), {
        argv: ['ssh-add', '-q', key],
        env: { SSH_AUTH_SOCK: socket },
      });
      expect({ status, stderr }).toMatchObject({ status: 0 });
    },
    async [Symbol.asyncDispose]() {
      if (before === undefined) delete process.env.SSH_AUTH_SOCK;
      else process.env.SSH_AUTH_SOCK = before;
      const ended = new Promise((resolve) => agent.once('exit', resolve));
      agent.kill();
      await ended;
    },
  };
}
