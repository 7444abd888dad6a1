/**
 * How fast the API answers over HTTP on a full catalogue: 10,000 sources, 1,000,000 runs, in SQLite and in PostgreSQL. The
 * server is a process of its own, as `holdfast serve` starts it; times are from the request to the last byte of the answer,
 * one request after another: median and 95th percentile. The status is asked as the catalogue was filled, and then with
 * every single source wrong. `probe` is `/health`, asked every 20 ms beside all the rest: how long a question waits for others.
 *
 *   node bench/api.ts [--kinds sqlite,postgres] [--sources 10000] [--runs 1000000] [--rounds 100] [--place /var/tmp]
 *   node bench/api.ts --at FILE-OR-URL        a catalogue that `bench/catalogue.ts --at … --only-fill` filled with these numbers
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { stampContent } from '../src/catalogue/data/summary.ts';
import { type Catalogue, type CatalogueAddress, openCatalogue } from '../src/catalogue/open.ts';
import { inTransaction } from '../src/catalogue/transaction.ts';
import { startPostgres } from '../test/servers/postgres.ts';
import { addPerson } from '../test/support/api-people.ts';
import { type Seeded, seedCatalogue } from './catalogue-seed.ts';

const { values } = parseArgs({
  options: {
    kinds: { type: 'string', default: 'sqlite,postgres' },
    at: { type: 'string' },
    sources: { type: 'string', default: '10000' },
    runs: { type: 'string', default: '1000000' },
    rounds: { type: 'string', default: '100' },
    place: { type: 'string', default: '/var/tmp' },
  },
});
const program = fileURLToPath(new URL('../bin/holdfast', import.meta.url));
const rounds = Number(values.rounds);
const threeDaysMs = 3 * 86_400_000;

function configuration(
  folder: string,
  address: CatalogueAddress,
  { sourceNames, repositoryNames, policyNames }: Seeded,
): string {
  const place = address.kind === 'sqlite' ? address.path : `{ postgres: "${address.url}" }`;
  const lines = [
    `server: { listen: "127.0.0.1:0", catalogue: ${place} }`,
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

function row(name: string, times: readonly number[], bytes: number): void {
  const sorted = times.toSorted((a, b) => a - b);
  const shown = (ms: number): string => ms.toFixed(1).padStart(8);
  console.log(
    `${name.padEnd(52)}${shown(at(sorted, 0.5))}${shown(at(sorted, 0.95))}${shown(sorted.at(-1)!)}${String(bytes).padStart(11)}`,
  );
}

interface Asked {
  readonly ms: number;
  readonly bytes: number;
  readonly text: string;
}

async function ask(server: Started, path: string, token: string): Promise<Asked> {
  const began = performance.now();
  const response = await fetch(`${server.url}${path}`, { headers: { authorization: `Bearer ${token}` } });
  const content = await response.arrayBuffer();
  const ms = performance.now() - began;
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return { ms, bytes: content.byteLength, text: Buffer.from(content).toString() };
}

async function measure(server: Started, name: string, token: string, path: (round: number) => string): Promise<void> {
  const times: number[] = [];
  let bytes = 0;
  for (let round = -3; round < rounds; round++) {
    const asked = await ask(server, path(Math.max(0, round)), token);
    if (round >= 0) times.push(asked.ms);
    bytes = asked.bytes;
  }
  row(name, times, bytes);
}

/** Everything, as the command line asks for it. */
async function measureWhole(server: Started, name: string, token: string): Promise<void> {
  const times: number[] = [];
  let bytes = 0;
  for (let round = -1; round < Math.ceil(rounds / 10); round++) {
    const began = performance.now();
    bytes = 0;
    let cursor = '';
    for (let next: string | undefined = ''; next !== undefined; cursor = `&cursor=${next}`) {
      const asked = await ask(server, `/api/status?limit=1000${cursor}`, token);
      bytes += asked.bytes;
      next = (JSON.parse(asked.text) as { next?: string }).next;
    }
    if (round >= 0) times.push(performance.now() - began);
  }
  row(name, times, bytes);
}

/** How long others wait while something is asked. */
async function probed(server: Started, work: () => Promise<void>): Promise<void> {
  const times: number[] = [];
  const done = new AbortController();
  const probing = (async () => {
    while (!done.signal.aborted) {
      times.push((await ask(server, '/health', '')).ms);
      await sleep(20);
    }
  })();
  await work();
  done.abort();
  await probing;
  row('  probe beside it', times, 0);
}

/** The repositories of the bench are not there, as the server finds out when it starts. It is told that they were read just now. */
async function pretendRead({ db }: Catalogue, repositories: readonly string[]): Promise<void> {
  const missing = () =>
    db.selectFrom('repositoryState').select('repository').where('errorCode', 'is not', null).execute();
  for (let i = 0; i < 100 && (await missing()).length < repositories.length; i++) await sleep(200);
  const read = { id: 'bench', seenAtMs: Date.now(), errorCode: null, errorMessage: null };
  await db.updateTable('repositoryState').set(read).execute();
}

/** Makes the newest snapshot of every source older, or takes that back. */
async function shiftNewest(catalogue: Catalogue, repositories: readonly string[], byMs: number): Promise<void> {
  await inTransaction(catalogue, async ({ db }) => {
    await db
      .updateTable('sourceState')
      .set((eb) => ({ newestMs: eb('newestMs', '+', byMs) }))
      .execute();
    for (const repository of repositories) await stampContent(db, repository);
  });
}

async function measureStatus(server: Started, token: string): Promise<void> {
  const status = async (name: string, query: string): Promise<void> =>
    await measure(server, `status: ${name}`, token, () => `/api/status?${query}`);
  await status('first page of all', '');
  await status('first page of what is wrong', 'only=concerns');
  await status('a page of 1000', 'limit=1000');
  await status('a page of 1000 of what is wrong', 'only=concerns&limit=1000');
  await probed(server, async () => await measureWhole(server, 'status: every source, all pages', token));
}

async function measureAll(server: Started, catalogue: Catalogue, seeded: Seeded): Promise<void> {
  const { sourceNames } = seeded;
  const { token } = await addPerson(catalogue, 'owner');
  const first = await ask(server, '/api/status', token);
  console.log(`the first status after the start: ${Math.round(first.ms)} ms`);
  console.log(`${'ms'.padEnd(52)}     p50     p95     max      bytes`);
  await pretendRead(catalogue, seeded.repositoryNames);
  const held = await addPerson(catalogue, `viewer:default:${sourceNames[7]}`);
  const count = Number(values.runs);
  const idAt = async (offset: number): Promise<string> =>
    (await catalogue.db.selectFrom('run').select('id').orderBy('id').limit(1).offset(offset).execute())[0].id;
  const ids = await Promise.all([0.1, 0.3, 0.5, 0.7, 0.9].map((share) => idAt(Math.floor(count * share))));
  const source = (round: number): string => sourceNames[(round * 7919) % sourceNames.length];
  const questions: Record<string, (round: number) => string> = {
    'runs: first page': () => '/api/runs',
    'runs: a page deep down': (round) => `/api/runs?cursor=${ids[round % ids.length]}`,
    'runs: failed ones': () => '/api/runs?states=failed',
    'runs: of one source': (round) => `/api/runs?source=${source(round)}`,
    'runs: one': (round) => `/api/runs/${ids[round % ids.length]}`,
    'events: first page': () => '/api/events',
    'sources: all': () => '/api/sources',
    'source: one': (round) => `/api/sources/${source(round)}`,
  };
  await measureStatus(server, token);
  for (const [name, path] of Object.entries(questions)) await measure(server, name, token, path);
  await measure(server, 'runs: of a token that is held to one source', held.token, () => '/api/runs');
  console.log(`memory ${memoryMiB(server.pid, 'VmRSS')} MiB, at most ${memoryMiB(server.pid, 'VmHWM')} MiB`);
  console.log('every source wrong');
  await shiftNewest(catalogue, seeded.repositoryNames, -threeDaysMs);
  await measureStatus(server, token).finally(() => shiftNewest(catalogue, seeded.repositoryNames, threeDaysMs));
  console.log(`memory ${memoryMiB(server.pid, 'VmRSS')} MiB, at most ${memoryMiB(server.pid, 'VmHWM')} MiB`);
  await probed(server, async () => {
    for (let round = 0; round < 5; round++) row('metrics', [(await ask(server, '/metrics', token)).ms], 0);
  });
  console.log(`memory ${memoryMiB(server.pid, 'VmRSS')} MiB, at most ${memoryMiB(server.pid, 'VmHWM')} MiB`);
}

async function measureAt(address: CatalogueAddress): Promise<void> {
  const folder = mkdtempSync(join(values.place, 'holdfast-bench-api-'));
  try {
    await using catalogue = await openCatalogue(address, Date.now);
    const options = { sources: Number(values.sources), runs: Number(values.runs), nowMs: Date.now() };
    const seeded = await seedCatalogue(catalogue, options);
    // The key of an earlier run is gone with its folder.
    await catalogue.db.deleteFrom('sealedSecret').execute();
    await catalogue.db.updateTable('repositoryState').set({ errorCode: null }).execute();
    writeFileSync(join(folder, 'holdfast.yaml'), configuration(folder, address, seeded));
    await start(folder).then((first) => first.stop());
    const server = await start(folder);
    try {
      const memory = memoryMiB(server.pid, 'VmRSS');
      console.log(
        `\n${address.kind}: ${options.sources} sources, ${options.runs} runs; start ${Math.round(server.startMs)} ms, ${memory} MiB`,
      );
      await measureAll(server, catalogue, seeded);
    } finally {
      await server.stop();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (values.at !== undefined) {
  const isServer = /^postgres(?:ql)?:/.test(values.at);
  await measureAt(isServer ? { kind: 'postgres', url: values.at } : { kind: 'sqlite', path: values.at });
} else {
  const kinds = values.kinds.split(',');
  const folder = mkdtempSync(join(values.place, 'holdfast-bench-api-'));
  try {
    if (kinds.includes('sqlite')) await measureAt({ kind: 'sqlite', path: join(folder, 'catalogue.db') });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  if (kinds.includes('postgres')) {
    await using server = await startPostgres({ options: { shared_buffers: '256MB', fsync: 'on' } });
    await server.run('postgres', 'CREATE DATABASE catalogue');
    await measureAt({ kind: 'postgres', url: server.url('catalogue') });
  }
}
