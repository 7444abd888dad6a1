/**
 * A whole scenario with secrets that can be told from everything else, and then a search for them in all that others may
 * see: logs, answers, arguments and environments of child processes, the catalogue, temporary files, and what is left when
 * the process is aborted. In the memory of the living process they are; no core file is made of it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../servers/free-port.ts';
import { type PostgresServer, startPostgres } from '../servers/postgres.ts';
import { documentedRoutes, sampleOf } from '../support/api-document.ts';
import { initCheaply } from '../support/cheap-repository.ts';
import { program, Serving } from '../support/serving.ts';

/** By what they are for; found under any of these names. */
const secrets = {
  repository: 'mk-repository-7f3a91',
  postgres: 'mk-postgres-5d20c4',
  owner: 'mk-owner pass phrase 9b77e2',
  webhook: 'mk-webhook-header-11aa03',
  typed: 'mk-typed-into-the-wrong-field-e0',
} as const;
const told: Record<string, string> = {};

let postgres: PostgresServer;
let hook: Server;
let serving: Serving;
const received: string[] = [];
/** Does a part of the work, with secrets that it is sent. */
let agent: ChildProcess;
let agentSaid = '';
/** What was seen of processes below the server and the agent while they worked. */
const children = new Map<string, string>();
const answers: { readonly from: string; readonly text: string }[] = [];

beforeAll(async () => {
  postgres = await startPostgres({ password: secrets.postgres });
  hook = createServer((request, response) => {
    received.push(String(request.headers.authorization));
    request.resume().on('end', () => response.end());
  }).listen(0, '127.0.0.1');
  await once(hook, 'listening');
  const { port } = hook.address() as AddressInfo;
  serving = new Serving(
    `
hosts: { far: { agent: far } }
repositories: { main: { url: FOLDER/repo, password: { env: REPOSITORY_PW } } }
policies: { nightly: { repositories: [main] } }
sources:
  ledger: { driver: sqlite, path: FOLDER/ledger.db, policy: nightly }
  shop: { driver: postgres, url: "postgres://postgres@127.0.0.1:${postgres.port}/postgres", password: { file: FOLDER/pg }, policy: nightly }
  away: { driver: postgres, host: far, url: "postgres://postgres@127.0.0.1:${postgres.port}/postgres", password: { file: FOLDER/pg }, policy: nightly }
  wrong: { driver: postgres, url: "postgres://postgres@127.0.0.1:${postgres.port}/postgres", password: { file: FOLDER/typed }, policy: nightly }
notifications:
  hook: { webhook: "http://127.0.0.1:${port}/", headers: { authorization: { file: FOLDER/hook } }, on: ["*"] }
`,
    { REPOSITORY_PW: secrets.repository },
    `, agents: { listen: "127.0.0.1:${await freePort()}", names: [127.0.0.1] }`,
  );
  const db = new DatabaseSync(serving.path('ledger.db'));
  db.exec("create table t (x); insert into t values ('a')");
  db.close();
  for (const [name, value] of [
    ['pg', secrets.postgres],
    ['hook', secrets.webhook],
    ['typed', secrets.typed],
  ]) {
    serving.write(name, `${value}\n`);
  }
  serving.write('tmp/.keep', '');
  // The throwaway PostgreSQL of a drill runs as another user.
  chmodSync(serving.folder, 0o711);
  chmodSync(serving.path('tmp'), 0o777);
  serving.env.TMPDIR = serving.path('tmp');
  await initCheaply(serving.path('repo'), secrets.repository);
  await serving.start();
  await startAgent();
});

/** `holdfast agent` as a process of its own; what it is let in with is another secret. */
async function startAgent(): Promise<void> {
  told.enrolment = (await serving.ok('agent', 'enrol', 'far')).trim();
  const { REPOSITORY_PW: _, ...rest } = serving.env;
  const env = { ...rest, HOLDFAST_STATE: serving.path('agent') };
  const joined = await serving.run(['agent', 'join'], {
    HOLDFAST_STATE: serving.path('agent'),
    HOLDFAST_AGENT_TOKEN: told.enrolment,
  });
  expect(joined.status, joined.stderr).toBe(0);
  agentSaid += joined.stdout + joined.stderr;
  agent = spawn(program, ['agent', 'run'], { cwd: serving.folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
  for (const stream of [agent.stdout!, agent.stderr!]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      agentSaid += text;
    });
  }
}

afterAll(async () => {
  agent?.kill('SIGKILL');
  await serving?.dispose();
  await postgres?.[Symbol.asyncDispose]();
  hook?.close();
});

async function ask(path: string, options: RequestInit = {}): Promise<string> {
  const headers = { 'sec-fetch-site': 'same-origin', cookie: `holdfast-session=${told.session}` };
  const response = await serving.ask(path, { ...options, headers: { ...headers, ...options.headers } });
  const text = await response.text();
  answers.push({ from: `${options.method ?? 'GET'} ${path}`, text });
  return text;
}

const post = (path: string, body: object): Promise<string> => ask(path, { method: 'POST', body: JSON.stringify(body) });

function watchChildren(): void {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    const stat = /^\d+$/.test(name) ? quietly(`/proc/${name}/stat`) : '';
    const match = /^(\d+) \(.*\) \S (\d+)/s.exec(stat);
    if (match) parents.set(Number(match[1]), Number(match[2]));
  }
  const servers = [serving.pid, agent.pid!];
  const isBelow = (pid: number): boolean => {
    for (let at = parents.get(pid); at; at = parents.get(at)) if (servers.includes(at)) return true;
    return false;
  };
  for (const pid of parents.keys()) {
    if (!isBelow(pid)) continue;
    // A client of PostgreSQL takes its password from there and from nowhere better: its own one, and it alone.
    const own = `PGPASSWORD=${secrets.postgres}\0`;
    const environment = quietly(`/proc/${pid}/environ`).replace(own, '');
    const line = quietly(`/proc/${pid}/cmdline`);
    // Between fork and exec it is the server or the agent itself.
    if (servers.some((one) => line === quietly(`/proc/${one}/cmdline`))) continue;
    const seen = `${line}\n${environment}`.replaceAll('\0', ' ');
    children.set(seen, quietly(`/proc/${pid}/comm`).trim());
  }
}

function quietly(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}

function agentFacts(): string {
  return quietly(`/proc/${agent.pid}/cmdline`) + quietly(`/proc/${agent.pid}/environ`);
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((one) => one.isFile())
    .map((one) => join(one.parentPath, one.name));
}

function requireNone(where: string, text: string): void {
  for (const [name, secret] of [...Object.entries(secrets), ...Object.entries(told)]) {
    const forms = [secret, encodeURIComponent(secret), Buffer.from(secret).toString('base64').replace(/=+$/, '')];
    for (const form of forms) expect(text.includes(form), `${name} in ${where}`).toBe(false);
  }
}

describe('secrets', () => {
  it('are used in a whole scenario', async () => {
    const code = /set-up code (\S+)/.exec(serving.output)?.[1];
    const setUp = { code, name: 'anna', password: secrets.owner };
    const headers = { 'sec-fetch-site': 'same-origin' };
    await serving.ask('/api/set-up', { method: 'POST', body: JSON.stringify(setUp), headers });
    const wrong = { name: secrets.typed, password: secrets.typed };
    answers.push({
      from: 'refused sign-in',
      text: await (
        await serving.ask('/api/sign-in/password', { method: 'POST', body: JSON.stringify(wrong), headers })
      ).text(),
    });
    const sign = { name: 'anna', password: secrets.owner };
    const signed = await serving.ask('/api/sign-in/password', { method: 'POST', body: JSON.stringify(sign), headers });
    told.session = signed.headers.getSetCookie()[0].split(';')[0].split('=')[1];
    answers.push({ from: 'sign-in', text: await signed.text() });
    const made = await serving.ask('/api/tokens', {
      method: 'POST',
      body: JSON.stringify({ title: 'scan', role: 'viewer' }),
      headers: { ...headers, cookie: `holdfast-session=${told.session}` },
    });
    told.token = ((await made.json()) as { token: string }).token;
    const totp = await serving.ask('/api/me/totp', {
      method: 'POST',
      headers: { ...headers, cookie: `holdfast-session=${told.session}` },
    });
    told.totp = ((await totp.json()) as { key: string }).key;
    let isWorking = true;
    const watching = (async () => {
      while (isWorking) {
        watchChildren();
        await sleep(10);
      }
    })();
    for (let i = 0; i < 2; i++) {
      await post('/api/runs/backup', { sources: ['ledger', 'shop', 'away', 'wrong'] });
      await settled();
    }
    await post('/api/runs/drill', { targets: ['ledger', 'shop', 'away'] });
    await settled();
    await post('/api/notifications/test', {});
    await post('/api/downloads', { snapshot: 'ledger' }).then((text) => {
      told.link = (JSON.parse(text) as { url: string }).url.split('/').at(-1)!;
      answers.pop();
    });
    isWorking = false;
    await watching;
    const { runs } = JSON.parse(await ask('/api/runs?limit=100')) as { runs: { source: string; state: string }[] };
    const wrongOnes = runs.filter((one) => one.state === 'failed' && one.source !== 'wrong');
    expect(JSON.stringify(wrongOnes)).toBe('[]');
    const count = (source: string, state: string): number =>
      runs.filter((one) => one.source === source && one.state === state).length;
    expect(count('ledger', 'succeeded')).toBeGreaterThanOrEqual(3);
    expect(count('shop', 'succeeded')).toBeGreaterThanOrEqual(3);
    expect(count('away', 'succeeded')).toBeGreaterThanOrEqual(3);
    expect(count('wrong', 'failed')).toBeGreaterThanOrEqual(1);
    expect(received).toContain(secrets.webhook);
  }, 120_000);

  it('are in no answer', async () => {
    const { runs } = JSON.parse(await ask('/api/runs?limit=100')) as { runs: { id: string }[] };
    for (const { id } of runs) {
      await ask(`/api/runs/${id}`);
      await ask(`/api/runs/${id}/log?limit=1000`);
    }
    const known = {
      source: 'shop',
      sources: ['shop'],
      repository: 'main',
      snapshot: 'shop',
      patterns: ['*'],
      id: runs[0].id,
    };
    for (const route of await documentedRoutes(serving)) {
      if (route.method !== 'GET' || route.streams) continue;
      await ask(sampleOf(route, { ...known, look: false, secrets: true, name: 'anna' }).path);
    }
    await post('/api/configuration/plan', {
      text: `repositories: { x: { url: /x, password: "${secrets.repository}" } }\n`,
    });
    expect(answers.length).toBeGreaterThan(60);
    for (const { from, text } of answers) requireNone(from, text);
  }, 120_000);

  it('are in no argument and no environment of a child process', () => {
    const names = new Set(children.values());
    expect([...names].some((one) => one.startsWith('pg_dump'))).toBe(true);
    for (const [text, name] of children) requireNone(`the process ${name}: ${text.slice(0, 200)}`, text);
    requireNone('the arguments of the server', quietly(`/proc/${serving.pid}/cmdline`));
    requireNone('the arguments and environment of the agent', agentFacts());
  });

  it('are not in the log', () => {
    expect(serving.output).toContain('listens on');
    requireNone('the log', serving.output);
    expect(agentSaid).toContain('connected');
    requireNone('what the agent said', agentSaid);
  });

  it('are in no file of the server or the agent: catalogue, state, temporary ones', () => {
    const places = [
      ...filesBelow(serving.path('state')),
      ...filesBelow(serving.path('agent')),
      ...filesBelow(serving.path('tmp')),
      ...filesBelow(serving.path('repo')),
    ];
    const catalogue = ['catalogue.db', 'catalogue.db-wal'].map((name) => serving.path(name));
    expect(statSync(catalogue[0]).size + statSync(catalogue[1]).size).toBeGreaterThan(100_000);
    for (const file of [...catalogue, ...places]) requireNone(file, readFileSync(file, 'latin1'));
  });

  it('are left in no core file when the process is aborted', async () => {
    expect(quietly(`/proc/${serving.pid}/limits`)).toMatch(/Max core file size\s+0\s+0/);
    await serving.stop('SIGABRT');
    expect(serving.child.signalCode).toBe('SIGABRT');
    const cores = filesBelow(serving.folder).filter((file) => /(^|\/)core(\.\d+)?$/.test(file));
    expect(cores).toEqual([]);
  });
});

async function settled(): Promise<void> {
  for (;;) {
    const { runs } = await serving.json<{ runs: unknown[] }>('/api/runs?states=queued&states=running', {
      headers: { cookie: `holdfast-session=${told.session}` },
    });
    if (runs.length === 0) return;
    await sleep(100);
  }
}
