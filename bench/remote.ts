/**
 * Holdfast against restic on repositories across a network: S3 (Ceph's gateway, by TLS) and SFTP (OpenSSH), each behind a
 * round trip of some milliseconds. The same data, the same servers, in turns; every restore is compared.
 *
 *   node bench/remote.ts [--storage s3|sftp] [--latency-ms 30] [--size-mib 192,768] [--files 4000] [--rounds 3]
 *     [--restic restic-new] [--endpoint URL] [--log FILE]
 *
 * What was restored stays until the end: ext4 makes new files slowly for minutes after it removed many, at the expense of
 * whoever comes next.
 *
 * Prints medians and ratios of each size (restic ÷ Holdfast; above 1 means Holdfast is faster). With --endpoint an S3 service
 * that runs already is used, with the keys in the environment. --log writes down every request and answer (S3).
 */
import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { systemClock } from '../src/base/clock.ts';
import { openStorage } from '../src/storage/open.ts';
import { storageKinds } from '../src/storage/registry.ts';
import { startCephGateway } from '../test/servers/ceph-rgw.ts';
import { setup as putResticOnPath } from '../test/servers/restic.ts';
import type { S3Server } from '../test/servers/s3-moto.ts';
import { startSshd } from '../test/servers/sshd.ts';
import { type Measurement, measure, median } from './measure.ts';

const { values } = parseArgs({
  options: {
    storage: { type: 'string', default: 's3' },
    'latency-ms': { type: 'string', default: '30' },
    'size-mib': { type: 'string', default: '192,768' },
    files: { type: 'string', default: '4000' },
    rounds: { type: 'string', default: '3' },
    restic: { type: 'string', default: 'restic-new' },
    endpoint: { type: 'string' },
    log: { type: 'string' },
    place: { type: 'string', default: '/var/tmp' },
  },
});
await putResticOnPath();

const holdfast = new URL('../bin/holdfast', import.meta.url).pathname;
const password = 'bench';

/** What a program is told: its repository of that name, and its environment. */
interface Place extends AsyncDisposable {
  restic(name: string): { readonly args: readonly string[]; readonly env: Record<string, string> };
  holdfast(name: string): { readonly yaml: string; readonly env: Record<string, string> };
  remove(name: string): Promise<void>;
}

interface Round {
  readonly backup: Measurement;
  readonly restore: Measurement;
}

const work = mkdtempSync(join(values.place, 'holdfast-remote-'));
try {
  await using place = values.storage === 'sftp' ? await sftpPlace() : await s3Place();
  for (const sizeMib of values['size-mib'].split(',').map(Number)) await compareAt(sizeMib, place);
} finally {
  rmSync(work, { recursive: true, force: true });
}

async function compareAt(sizeMib: number, place: Place): Promise<void> {
  const source = join(work, 'source');
  rmSync(source, { recursive: true, force: true });
  writeSource(source, sizeMib);
  const rounds = { holdfast: [] as Round[], restic: [] as Round[] };
  for (let at = 0; at < Number(values.rounds); at++) {
    for (const [who, round] of [
      ['holdfast', holdfastRound],
      ['restic', resticRound],
    ] as const) {
      const name = `${who}-${sizeMib}-${at}`;
      rounds[who].push(await round(place, name));
      await place.remove(name);
    }
  }
  show(sizeMib, rounds);
}

function writeSource(folder: string, sizeMib: number): void {
  mkdirSync(folder);
  for (let at = 0; at < 4; at++) writeFileSync(join(folder, `large-${at}`), randomBytes((sizeMib << 20) / 4));
  for (let at = 0; at < Number(values.files); at++) {
    if (at % 100 === 0) mkdirSync(join(folder, `d${at / 100}`));
    writeFileSync(join(folder, `d${Math.floor(at / 100)}`, `f${at}`), randomBytes(200 + ((at * 7919) % 14_000)));
  }
}

async function startProxy(port: number, ...tls: readonly string[]): Promise<{ port: number } & Disposable> {
  const program = fileURLToPath(new URL('latency-proxy.ts', import.meta.url));
  const args = [program, String(port), values['latency-ms'], ...tls];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const [said] = (await once(child.stdout, 'data')) as [Buffer];
  return { port: Number(said.toString()), [Symbol.dispose]: () => void child.kill('SIGKILL') };
}

async function s3Server(): Promise<S3Server> {
  const { endpoint } = values;
  if (endpoint === undefined) return await startCephGateway();
  const { AWS_ACCESS_KEY_ID = '', AWS_SECRET_ACCESS_KEY = '' } = process.env;
  return { endpoint, env: { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY }, [Symbol.asyncDispose]: async () => {} };
}

async function s3Place(): Promise<Place> {
  const server = await s3Server();
  const [certificate, key] = [join(work, 'certificate.pem'), join(work, 'key.pem')];
  const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '2', '-nodes'];
  const kind = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
  execFileSync('openssl', [...kind, ...subject, '-keyout', key, '-out', certificate], { stdio: 'ignore' });
  const logs = values.log === undefined ? [] : [values.log];
  const proxy = await startProxy(Number(new URL(server.endpoint).port), certificate, key, ...logs);
  const urlOf = (name: string): string => `s3:https://127.0.0.1:${proxy.port}/bench/${name}`;
  return {
    restic: (name) => ({ args: ['-r', urlOf(name), '--cacert', certificate], env: { ...server.env } }),
    holdfast: (name) => ({ yaml: `url: "${urlOf(name)}", s3: { ca: ${certificate} }`, env: { ...server.env } }),
    remove: (name) => removeObjects(`s3:${server.endpoint}/bench/${name}`, server.env),
    [Symbol.asyncDispose]: async () => {
      proxy[Symbol.dispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

/** The server keeps objects in memory. */
async function removeObjects(url: string, env: S3Server['env']): Promise<void> {
  const { signal } = new AbortController();
  const secret = (): never => {
    throw new Error('no secret is needed here');
  };
  const storage = await openStorage(storageKinds, url, {
    create: false,
    tools: { clock: systemClock, env: { ...env }, signal, secret },
  });
  for (const folder of ['data', 'index', 'keys', 'locks', 'snapshots']) {
    for await (const { name } of storage.list(folder)) await storage.delete(name);
  }
  await storage.delete('config');
  await storage.close();
}

async function sftpPlace(): Promise<Place> {
  const sshd = await startSshd();
  const proxy = await startProxy(sshd.port);
  // Both come through the proxy's port, which the known hosts do not have yet.
  const known = join(work, 'known-hosts');
  writeFileSync(known, `[127.0.0.1]:${proxy.port} ${sshd.hostKey}\n`);
  const at = (name: string): string => `${sshd.user}@127.0.0.1:${join(work, name)}`;
  const ssh = `ssh -F none -p ${proxy.port} -i ${sshd.key} -o UserKnownHostsFile=${known} ${sshd.user}@127.0.0.1 -s sftp`;
  const settings = `sftp: { port: ${proxy.port}, key: { file: ${sshd.key} }, knownHosts: ${known} }`;
  return {
    restic: (name) => ({ args: ['-r', `sftp:${at(name)}`, '-o', `sftp.command=${ssh}`], env: {} }),
    holdfast: (name) => ({ yaml: `url: "sftp:${at(name)}", ${settings}`, env: {} }),
    remove: async (name) => rmSync(join(work, name), { recursive: true }),
    [Symbol.asyncDispose]: async () => {
      proxy[Symbol.dispose]();
      await sshd[Symbol.asyncDispose]();
    },
  };
}

async function holdfastRound(place: Place, name: string): Promise<Round> {
  const { yaml, env } = place.holdfast(name);
  const file = join(work, `${name}.yaml`);
  const source = join(work, 'source');
  writeFileSync(
    file,
    `repositories:\n  far: { ${yaml}, password: { env: HOLDFAST_PASSWORD } }\n` +
      `sources:\n  it: { driver: files, paths: [${source}], repository: far }\n`,
  );
  const all = { ...env, HOLDFAST_PASSWORD: password };
  const run = (...args: readonly string[]): Promise<Measurement> =>
    logged(`${name} ${args[0]}`, () => measure([holdfast, '--config', file, ...args], all));
  await run('repo', 'init', 'far');
  const backup = await run('backup', 'it');
  const target = join(work, `${name}-out`);
  const restore = await run('restore', 'it', '--to', target);
  compare(join(target, source));
  return { backup, restore };
}

async function resticRound(place: Place, name: string): Promise<Round> {
  const { args, env } = place.restic(name);
  const source = join(work, 'source');
  const all = { ...env, RESTIC_PASSWORD: password, RESTIC_CACHE_DIR: join(work, `${name}-cache`) };
  const run = (...more: readonly string[]): Promise<Measurement> =>
    logged(`${name} ${more[0]}`, () => measure([values.restic, ...args, ...more], all));
  await run('init');
  const backup = await run('backup', source);
  const target = join(work, `${name}-out`);
  const restore = await run('restore', 'latest', '--target', target);
  compare(join(target, source));
  return { backup, restore };
}

/** Says in the log where a program begins and ends. */
async function logged(what: string, act: () => Promise<Measurement>): Promise<Measurement> {
  const note = (event: string): void => {
    const atMs = Math.round(performance.timeOrigin + performance.now());
    if (values.log !== undefined) appendFileSync(values.log, `${atMs} - ${event} ${what}\n`);
  };
  note('begin');
  const measured = await act();
  note('end');
  return measured;
}

function compare(restored: string): void {
  execFileSync('diff', ['-r', join(work, 'source'), restored]);
}

function show(sizeMib: number, rounds: Readonly<Record<'holdfast' | 'restic', readonly Round[]>>): void {
  console.log(`${values.storage}, ${values['latency-ms']} ms, ${sizeMib} MiB, ${values.files} files`);
  for (const verb of ['backup', 'restore'] as const) {
    const of = (who: 'holdfast' | 'restic', figure: keyof Measurement): number =>
      median(rounds[who].map((round) => round[verb][figure]));
    const each = (['holdfast', 'restic'] as const).map((who) => {
      const walls = rounds[who].map((round) => round[verb].wallS.toFixed(2)).join(' ');
      return `${who} ${of(who, 'wallS').toFixed(2)} s (${walls}), CPU ${of(who, 'cpuS').toFixed(1)} s, ${Math.round(of(who, 'peakMiB'))} MiB`;
    });
    const ratio = of('restic', 'wallS') / of('holdfast', 'wallS');
    console.log(`${verb}: ${each.join(' · ')} · ${ratio.toFixed(2)}×`);
  }
}
