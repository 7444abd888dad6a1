/**
 * Azurite, Microsoft's emulator of Azure's storage, on a free loopback port; blobs live in its memory. It checks signatures,
 * hashes and conditions. Installed once from npm into a cache, beside the tests' own packages.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { freePort } from './free-port.ts';

const run = promisify(execFile);
const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'holdfast-tests', 'azurite-3.35.0');

export const azureAccount = 'holdfast';
export const azureKey = Buffer.from('a key of the tests, not a secret').toString('base64');

export interface Azurite extends AsyncDisposable {
  readonly port: number;
  /** `http://127.0.0.1:…/holdfast`, or https. */
  readonly endpoint: string;
  /** Of https: the certificate to trust, for any account of Azure’s own name and for 127.0.0.1. */
  readonly ca: string;
}

export async function startAzurite({ secure = false } = {}): Promise<Azurite> {
  await install();
  const place = mkdtempSync(join(tmpdir(), 'holdfast-azurite-'));
  const [cert, key] = [join(place, 'cert.pem'), join(place, 'key.pem')];
  if (secure) await makeCertificate(cert, key);
  const port = await freePort();
  const main = join(cache, 'node_modules/azurite/dist/src/blob/main.js');
  const where = ['--blobHost', '127.0.0.1', '--blobPort', String(port)];
  const how = ['--inMemoryPersistence', '--silent', '--skipApiVersionCheck', '--disableTelemetry'];
  const child = spawn(process.execPath, [main, ...where, ...how, ...(secure ? ['--cert', cert, '--key', key] : [])], {
    cwd: place,
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { PATH: process.env.PATH, HOME: place, AZURITE_ACCOUNTS: `${azureAccount}:${azureKey}` },
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-4000);
  });
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    }
    rmSync(place, { recursive: true, force: true });
  };
  for (let tries = 0; !(await listens(port)); tries++) {
    if (tries < 600 && child.exitCode === null) await sleep(100);
    else {
      await stop();
      throw new Error(`Azurite did not start: ${said}`);
    }
  }
  const endpoint = `${secure ? 'https' : 'http'}://127.0.0.1:${port}/${azureAccount}`;
  return { port, endpoint, ca: cert, [Symbol.asyncDispose]: stop };
}

async function install(): Promise<void> {
  if (existsSync(join(cache, 'complete'))) return;
  mkdirSync(cache, { recursive: true });
  // Telemetry is off; its newest library is not needed.
  const needs = { dependencies: { azurite: '3.35.0' }, overrides: { applicationinsights: '2.9.6' } };
  writeFileSync(join(cache, 'package.json'), JSON.stringify({ private: true, ...needs }));
  await run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: cache });
  writeFileSync(join(cache, 'complete'), '');
}

async function makeCertificate(cert: string, key: string): Promise<void> {
  const names = 'subjectAltName=DNS:*.blob.core.windows.net,IP:127.0.0.1';
  const files = ['-keyout', key, '-out', cert];
  await run('openssl', [
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-days',
    '2',
    '-subj',
    '/CN=tests',
    '-addext',
    names,
    ...files,
  ]);
}

async function listens(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** A proxy by which every host name leads to one port of this machine: for programs that insist on a service's names. */
export async function startNameProxy(to: number): Promise<AsyncDisposable & { readonly url: string }> {
  const server = createServer((_, answer) => answer.writeHead(405).end());
  server.on('connect', (_, near) => {
    const far = connect(to, '127.0.0.1', () => {
      near.write('HTTP/1.1 200 OK\r\n\r\n');
      near.pipe(far).pipe(near);
    });
    near.on('error', () => far.destroy());
    far.on('error', () => near.destroy());
    near.on('close', () => far.destroy());
    far.on('close', () => near.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return {
    url: `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
