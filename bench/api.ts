/**
 * How fast the API answers over HTTP on a full catalogue: 10,000 sources, 1,000,000 runs. The server is a process of its own,
 * as `holdfast serve` starts it; times are from the request to the last byte of the answer, one request after another.
 *
 *   node bench/api.ts [--at FILE] [--sources 10000] [--runs 1000000] [--rounds 100] [--place /var/tmp]
 *
 * `--at` is a catalogue that `bench/catalogue.ts --at FILE --only-fill` filled, with the same numbers.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { openCatalogue } from '../src/catalogue/open.ts';
import { addPerson } from '../test/support/api-people.ts';
import { type Seeded, seedCatalogue } from './catalogue-seed.ts';

const { values } = parseArgs({
  options: {
    at: { type: 'string' },
    sources: { type: 'string', default: '10000' },
    runs: { type: 'string', default: '1000000' },
    rounds: { type: 'string', default: '100' },
    place: { type: 'string', default: '/var/tmp' },
  },
});
const program = fileURLToPath(new URL('../bin/holdfast', import.meta.url));
const rounds = Number(values.rounds);

function configuration(folder: string, file: string, { sourceNames, repositoryNames, policyNames }: Seeded): string {
  const lines = [
    `server: { listen: "127.0.0.1:0", catalogue: ${file} }`,
    'repositories:',
    ...repositoryNames.map((name) => `  ${name}: { url: ${folder}/${name}, password: { env: PW } }`),
    'policies:',
    ...policyNames.map((name) => `  ${name}: { repositories: [${repositoryNames[0]}] }`),
    'sources:',
    ...sourceNames.map((name, i) => {
      const repository = repositoryNames[i % repositoryNames.length];
      return `  ${name}: { driver: files, paths: [/srv/${name}], repository: ${repository} }`;
    }),
  ];
  return `${lines.join('\n')}\n`;
}

interface Started {
  readonly url: string;
  readonly pid: number;
  readonly startMs: number;
  stop(): Promise<void>;
}

async function start(folder: string): Promise<Started> {
  const env = {
    ...process.env,
    PW: 'x',
    HOLDFAST_STATE: join(folder, 'state'),
    HOME: folder,
    XDG_CACHE_HOME: '/tmp/holdfast-e2e-cache',
  };
  const began = performance.now();
  const child = spawn(program, ['serve'], { cwd: folder, env, stdio: ['ignore', 'ignore', 'pipe'] });
  let text = '';
  const url = await new Promise<string>((resolve, reject) => {
    child.stderr.setEncoding('utf8').on('data', (part: string) => {
      text += part;
      const found = /"url":"([^"]+)"/.exec(text)?.[1];
      if (found) resolve(found);
    });
    child.on('close', () => reject(new Error(text)));
  });
  await fetch(`${url}/health`);
  const startMs = performance.now() - began;
  const stop = async (): Promise<void> => {
    const ended = new Promise((resolve) => child.on('close', resolve));
    child.kill('SIGTERM');
    await ended;
  };
  return { url, pid: child.pid!, startMs, stop };
}

const memoryMiB = (pid: number, field: 'VmRSS' | 'VmHWM'): number =>
  Math.round(Number(new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024);

const at = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];

async function measure(server: Started, name: string, token: string, path: (round: number) => string): Promise<void> {
  const times: number[] = [];
  let bytes = 0;
  for (let round = -3; round < rounds; round++) {
    const began = performance.now();
    const response = await fetch(`${server.url}${path(Math.max(0, round))}`, {
      headers: { authorization: `Bearer ${token}` },
    });
    bytes = (await response.arrayBuffer()).byteLength;
    if (!response.ok) throw new Error(`${path(round)}: ${response.status}`);
    if (round >= 0) times.push(performance.now() - began);
  }
  times.sort((a, b) => a - b);
  const shown = (ms: number): string => ms.toFixed(1).padStart(8);
  console.log(
    `${name.padEnd(46)} p50 ${shown(at(times, 0.5))}  p95 ${shown(at(times, 0.95))} ms  ${String(bytes).padStart(9)} bytes`,
  );
}

/** The repositories of the bench are not there, as the server finds out when it starts. It is told that they were read just now. */
async function pretendRead(file: string, repositories: readonly string[]): Promise<void> {
  await using catalogue = await openCatalogue({ kind: 'sqlite', path: file }, Date.now);
  const { db } = catalogue;
  const missing = () =>
    db.selectFrom('repositoryState').select('repository').where('errorCode', 'is not', null).execute();
  for (let i = 0; i < 100 && (await missing()).length < repositories.length; i++) await sleep(200);
  const read = { id: 'bench', seenAtMs: Date.now(), errorCode: null, errorMessage: null };
  await db.updateTable('repositoryState').set(read).execute();
}

const folder = mkdtempSync(join(values.place, 'holdfast-bench-api-'));
try {
  const file = values.at ?? join(folder, 'catalogue.db');
  const catalogue = await openCatalogue({ kind: 'sqlite', path: file }, Date.now);
  const options = { sources: Number(values.sources), runs: Number(values.runs), nowMs: Date.now() };
  const seeded = await seedCatalogue(catalogue, options);
  const { token } = await addPerson(catalogue, 'owner');
  const held = await addPerson(catalogue, `viewer:default:${seeded.sourceNames[7]}`);
  const ids = await catalogue.db
    .selectFrom('run')
    .select('id')
    .orderBy('id')
    .limit(1)
    .offset(options.runs >> 1)
    .execute();
  // The key of an earlier run is gone with its folder.
  await catalogue.db.deleteFrom('sealedSecret').execute();
  await catalogue.db.updateTable('repositoryState').set({ errorCode: null }).execute();
  await catalogue[Symbol.asyncDispose]();
  writeFileSync(join(folder, 'holdfast.yaml'), configuration(folder, file, seeded));
  await start(folder).then((first) => first.stop());
  const server = await start(folder);
  await pretendRead(file, seeded.repositoryNames);
  console.log(
    `${options.sources} sources, ${options.runs} runs; start ${Math.round(server.startMs)} ms, ${memoryMiB(server.pid, 'VmRSS')} MiB`,
  );
  const source = (round: number): string => seeded.sourceNames[(round * 7919) % seeded.sourceNames.length];
  const questions: Record<string, (round: number) => string> = {
    'status: every source': () => '/api/status',
    'status: what is wrong': () => '/api/status?only=concerns',
    'status: the first hundred of what is wrong': () => '/api/status?only=concerns&limit=100',
    'runs: first page': () => '/api/runs',
    'runs: failed ones': () => '/api/runs?states=failed',
    'runs: of one source': (round) => `/api/runs?source=${source(round)}`,
    'runs: one': () => `/api/runs/${ids[0].id}`,
    'events: first page': () => '/api/events',
    'sources: all': () => '/api/sources',
    'source: one': (round) => `/api/sources/${source(round)}`,
    metrics: () => '/metrics',
  };
  for (const [name, path] of Object.entries(questions)) await measure(server, name, token, path);
  await measure(server, 'runs: of a token that is held to one source', held.token, () => '/api/runs');
  console.log(`memory ${memoryMiB(server.pid, 'VmRSS')} MiB, at most ${memoryMiB(server.pid, 'VmHWM')} MiB`);
  await server.stop();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
