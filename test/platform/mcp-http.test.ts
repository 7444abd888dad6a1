/** Sessions of a real MCP client over HTTP, under the role of a token. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { listAudit } from '../../src/auth/index.ts';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { createLog } from '../../src/base/log.ts';
import { recordHappening } from '../../src/catalogue/happenings.ts';
import { type Catalogue, openCatalogue } from '../../src/catalogue/open.ts';
import { listRuns } from '../../src/catalogue/run-list.ts';
import { appendLog } from '../../src/catalogue/run-log.ts';
import { claimRun, finishRun, insertRun } from '../../src/catalogue/runs.ts';
import { withMcp } from '../../src/daemon/mcp-endpoint.ts';
import { drivers } from '../../src/drivers/registry.ts';
import { hostKinds, localHost } from '../../src/hosts/registry.ts';
import { refreshRepository } from '../../src/operations/catalogue/refresh-repository.ts';
import { loadConfig } from '../../src/operations/configuration/configuration.ts';
import type { SourceAccess } from '../../src/operations/operation.ts';
import { storageKinds } from '../../src/storage/registry.ts';
import { program, type Trial } from '../e2e/trial.ts';
import { addPerson } from '../support/api-people.ts';
import { attack, call, mcpTrial } from '../support/mcp-trial.ts';

let trial: Trial;
beforeAll(async () => {
  trial = await mcpTrial();
}, 120_000);
afterAll(() => trial.dispose());

describe('over HTTP', () => {
  let catalogue: Catalogue;
  let server: Server;
  let url: URL;
  let laterMs = 0;
  const clock: Clock = { ...systemClock, nowMs: () => systemClock.nowMs() + laterMs };
  const clients: Client[] = [];

  beforeAll(async () => {
    catalogue = await openCatalogue({ kind: 'sqlite', path: ':memory:' }, () => systemClock.nowMs());
    const kinds = { drivers, storageKinds, hostKinds, channelKinds: [] };
    const host = localHost();
    const access: SourceAccess = {
      ...kinds,
      config: await loadConfig(trial.path('holdfast.yaml'), kinds),
      env: { ...trial.env, HOLDFAST_CACHE: 'off' },
      localHost: () => host,
      openContainers: async () => undefined,
    };
    const stopping = new AbortController().signal;
    await refreshRepository(catalogue, 'nas', {
      ...access,
      clock,
      signal: stopping,
      report: () => undefined,
      whole: true,
    });
    const app = withMcp(
      { fetch: async () => new Response('elsewhere', { status: 418 }) },
      {
        ...{ clock, catalogue, log: createLog({ level: 'silent' }), access: () => access, stopping },
        settings: { trustedProxies: ['127.0.0.1'] },
      },
    );
    server = createServer(getRequestListener((request) => app.fetch(request, { peer: '127.0.0.1', secure: false })));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`);
  }, 60_000);

  afterAll(async () => {
    for (const client of clients) await client.close();
    server?.closeAllConnections();
    server?.close();
    await catalogue?.[Symbol.asyncDispose]();
  });

  async function session(held: string): Promise<Client> {
    const { token } = await addPerson(catalogue, held);
    const client = new Client({ name: 'test', version: '1' });
    const headers = { authorization: `Bearer ${token}`, 'x-forwarded-for': '203.0.113.9' };
    await client.connect(new StreamableHTTPClientTransport(url, { requestInit: { headers } }));
    clients.push(client);
    return client;
  }

  const queued = async () => (await listRuns(catalogue, { states: ['queued'] }, { limit: 50 })).runs;

  test('nobody gets in without a token, and other paths are answered by others', async () => {
    const message = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' };
    const none = await fetch(url, message);
    expect([none.status, await none.json()]).toEqual([401, expect.objectContaining({ code: 'auth.required' })]);
    const wrong = await fetch(url, { ...message, headers: { ...message.headers, authorization: 'Bearer hf_wrong' } });
    expect(wrong.status).toBe(401);
    expect((await fetch(new URL('/api/status', url))).status).toBe(418);
    const { token } = await addPerson(catalogue, 'viewer:shop');
    const got = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
    expect([got.status, got.headers.get('allow')]).toEqual([405, 'POST']);
    const headers = {
      ...message.headers,
      accept: 'application/json, text/event-stream',
      authorization: `Bearer ${token}`,
    };
    const long = await fetch(url, { method: 'POST', headers, body: JSON.stringify({ x: 'y'.repeat(2 << 20) }) });
    expect(long.status).toBe(413);
  });

  test('a viewer reads and finds no tool that acts; calling one all the same is refused', async () => {
    const client = await session('viewer');
    const names = (await client.listTools()).tools.map((one) => one.name);
    expect(names).toEqual(expect.arrayContaining(['status', 'list_runs', 'diagnose_run']));
    for (const name of ['start_backup', 'start_drill', 'restore', 'coverage', 'runbook', 'search_files'])
      expect(names).not.toContain(name);
    const refused = await client
      .callTool({ name: 'start_backup', arguments: { source: 'app' } })
      .catch(() => ({ isError: true }));
    expect(refused.isError).toBe(true);
    expect((await call(client, 'status', { only: 'all' })).value.sources).toHaveLength(2);
    expect(await queued()).toEqual([]);
  });

  test('a role in one workspace sees and does nothing in the others, and what was refused is written down', async () => {
    const client = await session('operator:shop');
    expect((await call(client, 'list_sources')).value.sources.map((one: { name: string }) => one.name)).toEqual([
      'notes',
    ]);
    expect(
      (await call(client, 'status', { only: 'all' })).value.sources.map((one: { source: string }) => one.source),
    ).toEqual(['notes']);
    for (const [tool, input] of [
      ['start_backup', { source: 'app' }],
      ['list_snapshots', { source: 'app' }],
      ['restore', { source: 'app', to: '/tmp/x' }],
      ['restore', { source: 'notes', to: '/tmp/x' }],
      ['restore', { source: 'notes', to: 'app' }],
      ['start_backup', { source: 'not-there' }],
      ['coverage', {}],
    ] as const) {
      const refused = await call(client, tool, input);
      expect([tool, refused.isError, refused.value.error.code]).toEqual([tool, true, 'auth.forbidden']);
    }
    // To a source of its own it may; but files go to no name.
    const named = await call(client, 'restore', { source: 'notes', to: 'notes' });
    expect([named.isError, named.value.error.code]).toEqual([true, 'restore.target-invalid']);
    const { entries } = await listAudit({ action: 'mcp' }, { catalogue });
    const refused = entries.filter((one) => one.outcome === 'refused');
    expect(refused.length).toBeGreaterThanOrEqual(5);
    expect(new Set(refused.map((one) => one.address))).toEqual(new Set(['203.0.113.9']));
  });

  test('a backup is queued once, by exactly what was agreed to', async () => {
    const client = await session('operator');
    const plan = await call(client, 'start_backup', { source: 'app' });
    expect(plan.value.plan.does).toContain('app');
    expect(await queued()).toEqual([]);
    const confirmation = plan.value.confirmation as string;
    const begun = await call(client, 'start_backup', { source: 'app', confirmation });
    expect(begun.value.started).toMatchObject([{ kind: 'backup', source: 'app', state: 'queued' }]);
    expect(await queued()).toMatchObject([{ kind: 'backup', source: 'app', trigger: 'manual' }]);
    const reused = await call(client, 'start_backup', { source: 'app', confirmation });
    expect([reused.isError, reused.value.error.message]).toEqual([true, expect.stringContaining('used already')]);
    expect(await queued()).toHaveLength(1);
  });

  test('a confirmation is for nobody else, for no other input and tool, and not for long', async () => {
    const [anna, other] = [await session('operator'), await session('admin')];
    const confirmed = async (): Promise<string> =>
      (await call(anna, 'start_drill', { source: 'app' })).value.confirmation;
    const attempts: [Client, string, Record<string, unknown>][] = [
      [anna, 'start_drill', { source: 'notes' }],
      [anna, 'start_drill', { source: 'app', repository: 'nas' }],
      [anna, 'start_backup', { source: 'app' }],
      [other, 'start_drill', { source: 'app' }],
    ];
    for (const [client, tool, input] of attempts) {
      const confirmation = await confirmed();
      const refused = await call(client, tool, { ...input, confirmation });
      expect([tool, refused.isError, refused.value.error.message]).toEqual([
        tool,
        true,
        expect.stringContaining('something else'),
      ]);
      // Whoever tried it has used it up.
      expect((await call(anna, 'start_drill', { source: 'app', confirmation })).isError).toBe(true);
    }
    const old = await confirmed();
    laterMs = 301_000;
    const late = await call(anna, 'start_drill', { source: 'app', confirmation: old });
    laterMs = 0;
    expect([late.isError, late.value.error.message]).toEqual([true, expect.stringContaining('too old')]);
    expect((await queued()).filter((one) => one.kind === 'drill')).toEqual([]);
  });

  test('a failed run is diagnosed: its error, its log as data, what changed, what else failed, and what to do', async () => {
    const about = { kind: 'backup', source: 'notes', host: 'local', trigger: 'schedule', askedBy: 'schedule' } as const;
    const end = async (state: 'succeeded' | 'failed', source: string): Promise<string> => {
      const { id } = await insertRun(catalogue, { ...about, source });
      const { fence } = (await claimRun(catalogue, { id, worker: 'w', leaseMs: 60_000 }))!;
      if (state === 'failed') {
        const note = { type: 'note', message: attack } as const;
        const warning = { type: 'warning', code: 'source.unreadable', message: 'plan.txt cannot be read' } as const;
        const progress = { type: 'progress', stage: 'read', bytesDone: 5 } as const;
        const lines = [warning, ...Array.from({ length: 60 }, () => progress), note].map((event) => ({
          atMs: Date.now(),
          event,
        }));
        await appendLog(catalogue, { id, fence }, lines);
      }
      const error = {
        code: 'source.unreadable',
        message: 'plan.txt: permission denied',
        remedy: 'let Holdfast read it',
      };
      const outcome = state === 'failed' ? { state, error } : { state };
      await finishRun(catalogue, {
        id,
        fence,
        outcome,
        events: [{ type: `backup.${state}`, title: 'it ended', run: id }],
      });
      return id;
    };
    await end('succeeded', 'notes');
    await recordHappening(catalogue, {
      type: 'config.changed',
      title: 'the configuration was changed: 1 changed',
      facts: {},
    });
    await end('failed', 'app');
    const failed = await end('failed', 'notes');
    const client = await session('viewer');
    const { value, text } = await call(client, 'diagnose_run', { source: 'notes' });
    expect(value).toMatchObject({
      run: { id: failed, kind: 'backup', source: 'notes', state: 'failed' },
      error: { code: 'source.unreadable', remedy: 'let Holdfast read it' },
      failuresSince: 1,
      lastSuccess: { state: 'succeeded' },
      changes: [{ title: 'the configuration was changed: 1 changed' }],
      alsoFailed: [{ source: 'app', shares: ['error'] }],
      next: { action: 'holdfast driver check notes', tryAgain: false },
    });
    expect(value.log.join('\n')).toContain('plan.txt cannot be read');
    expect(value.log.join('\n')).not.toContain('progress');
    expect(text).toContain(JSON.stringify(attack).slice(1, -1));
    const shown = await call(client, 'get_run', { id: failed, lines: 2 });
    expect(shown.value.log).toHaveLength(2);
    const held = await session('viewer:shop');
    expect((await call(held, 'diagnose_run', {})).value.run.source).toBe('notes');
    expect((await call(held, 'list_runs', { states: ['failed'] })).value.runs).toHaveLength(1);
  });

  test('a restorer reads runbooks and searches, and starts nothing', async () => {
    const client = await session('restorer');
    const names = (await client.listTools()).tools.map((one) => one.name);
    expect(names).toEqual(expect.arrayContaining(['runbook', 'search_files']));
    for (const name of ['start_backup', 'start_drill', 'restore']) expect(names).not.toContain(name);
    expect((await call(client, 'runbook', { source: 'app' })).value.text).toContain('# Runbook');
    expect((await client.listResources()).resources).toHaveLength(2);
  });

  test('a client that only starts programs reaches it through this one, under the token in its environment', async () => {
    const { token } = await addPerson(catalogue, 'viewer:shop');
    const { PATH = '', HOME = '' } = trial.env as Record<string, string>;
    const env = { PATH, HOME, HOLDFAST_TOKEN: token };
    const client = new Client({ name: 'test', version: '1' });
    const args = ['--server', url.origin, 'mcp'];
    await client.connect(new StdioClientTransport({ command: program, args, cwd: '/', env }));
    clients.push(client);
    expect((await call(client, 'list_sources')).value.sources).toMatchObject([{ name: 'notes' }]);
    expect((await call(client, 'list_snapshots', { source: 'app' })).value.error.code).toBe('auth.forbidden');
  });
});
