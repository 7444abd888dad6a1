/**
 * moto, a Python program that answers like Amazon S3 and STS, on a free loopback port; objects live in its memory. It does
 * not check signatures or body hashes. Unpacked once from another Debian release into a cache; nothing is installed.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { freePort } from './free-port.ts';

const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'holdfast-tests');
const program = fileURLToPath(new URL('moto-serially.py', import.meta.url));
const script = fileURLToPath(new URL('suite-packages.sh', import.meta.url));

export interface S3Server extends AsyncDisposable {
  /** `http://127.0.0.1:…` */
  readonly endpoint: string;
  /** What programs take their keys from. */
  readonly env: { readonly AWS_ACCESS_KEY_ID: string; readonly AWS_SECRET_ACCESS_KEY: string };
}

export async function startMoto(): Promise<S3Server> {
  const folder = join(cache, 'moto-sid');
  await promisify(execFile)(script, [
    folder,
    'sid',
    '/usr/bin/python3',
    'python3-moto',
    'python3-flask',
    'python3-flask-cors',
    'python3',
  ]);
  const usr = join(folder, 'root', 'usr');
  const python = readdirSync(join(usr, 'bin')).find((name) => /^python3\.\d+$/.test(name)) ?? 'python3';
  const compiled = join(cache, 'moto-sid-compiled');
  mkdirSync(compiled, { recursive: true });
  const place = mkdtempSync(join(tmpdir(), 'holdfast-moto-'));
  const port = await freePort();
  const child = spawn(
    join(usr, 'lib64/ld-linux-x86-64.so.2'),
    ['--library-path', join(usr, 'lib/x86_64-linux-gnu'), join(usr, 'bin', python), program, String(port)],
    {
      cwd: place,
      stdio: ['ignore', 'ignore', 'pipe'],
      env: {
        PYTHONHOME: usr,
        PYTHONPATH: join(usr, 'lib/python3/dist-packages'),
        PYTHONPYCACHEPREFIX: compiled,
        HOME: place,
        // Otherwise parts below 5 MiB would be refused, as Amazon does.
        S3_UPLOAD_PART_MIN_SIZE: '1',
      },
    },
  );
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-4000);
  });
  const endpoint = `http://127.0.0.1:${port}`;
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    }
    rmSync(place, { recursive: true, force: true });
  };
  for (let tries = 0; ; tries++) {
    if (await answers(endpoint)) break;
    if (tries < 300 && child.exitCode === null) await setTimeout(100);
    else {
      await stop();
      throw new Error(`moto did not start: ${said}`);
    }
  }
  return {
    endpoint,
    env: { AWS_ACCESS_KEY_ID: 'AKIATEST', AWS_SECRET_ACCESS_KEY: 'a-secret-key-of-the-test' },
    [Symbol.asyncDispose]: stop,
  };
}

export async function answers(endpoint: string): Promise<boolean> {
  try {
    return (await fetch(endpoint, { signal: AbortSignal.timeout(2000) })).status < 500;
  } catch {
    return false;
  }
}
